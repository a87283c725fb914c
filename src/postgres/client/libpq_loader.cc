// The functions of libpq that this room calls are defined here, under their own names, and forward to the loaded
// library. None of them is called before LoadLibpq has succeeded.
#include "postgres/client/libpq_loader.h"

#include <dlfcn.h>
#include <libpq-fe.h>

#include <array>
#include <string>

namespace pgstrata::client {
namespace {

constexpr const char* kLibrary = "libpq.so.5";

enum class Function {
  kClear,
  kConndefaults,
  kConninfoFree,
  kConnectPoll,
  kConnectStartParams,
  kConsumeInput,
  kErrorMessage,
  kFinish,
  kGetIsNull,
  kGetLength,
  kGetResult,
  kGetValue,
  kIsBusy,
  kFieldCount,
  kTupleCount,
  kResultErrorField,
  kResultStatus,
  kSendQuery,
  kSendQueryParams,
  kServerVersion,
  kSetErrorVerbosity,
  kSetNoticeProcessor,
  kSocket,
  kStatus,
  kCount,
};

// In the order of Function.
constexpr std::array<const char*, static_cast<size_t>(Function::kCount)> kNames = {
    "PQclear",
    "PQconndefaults",
    "PQconninfoFree",
    "PQconnectPoll",
    "PQconnectStartParams",
    "PQconsumeInput",
    "PQerrorMessage",
    "PQfinish",
    "PQgetisnull",
    "PQgetlength",
    "PQgetResult",
    "PQgetvalue",
    "PQisBusy",
    "PQnfields",
    "PQntuples",
    "PQresultErrorField",
    "PQresultStatus",
    "PQsendQuery",
    "PQsendQueryParams",
    "PQserverVersion",
    "PQsetErrorVerbosity",
    "PQsetNoticeProcessor",
    "PQsocket",
    "PQstatus",
};

std::array<void*, kNames.size()> addresses;

Status Load() {
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Fail(
        Error(ErrorCode::kUnavailable, std::string("could not load PostgreSQL's client library: ") + ::dlerror())
            .WithHint("install it with \"apt-get install libpq5\""));
  }
  for (size_t i = 0; i < kNames.size(); ++i) {
    addresses[i] = ::dlsym(library, kNames[i]);
    if (addresses[i] == nullptr) {
      return Fail(ErrorCode::kUnavailable, std::string(kLibrary) + " has no function \"" + kNames[i] + '"');
    }
  }
  return {};
}

// The loaded function behind `declared`, with its type.
template <typename Declared>
Declared* Real(Function function, Declared*) {
  return reinterpret_cast<Declared*>(addresses[static_cast<size_t>(function)]);
}

}  // namespace

Status LoadLibpq() {
  static const Status loaded = Load();
  return loaded;
}

}  // namespace pgstrata::client

using pgstrata::client::Function;
using pgstrata::client::Real;

extern "C" {

void PQclear(PGresult* res) { Real(Function::kClear, &PQclear)(res); }
PQconninfoOption* PQconndefaults() { return Real(Function::kConndefaults, &PQconndefaults)(); }
void PQconninfoFree(PQconninfoOption* options) { Real(Function::kConninfoFree, &PQconninfoFree)(options); }
PostgresPollingStatusType PQconnectPoll(PGconn* conn) { return Real(Function::kConnectPoll, &PQconnectPoll)(conn); }
PGconn* PQconnectStartParams(const char* const* keywords, const char* const* values, int expand_dbname) {
  return Real(Function::kConnectStartParams, &PQconnectStartParams)(keywords, values, expand_dbname);
}
int PQconsumeInput(PGconn* conn) { return Real(Function::kConsumeInput, &PQconsumeInput)(conn); }
char* PQerrorMessage(const PGconn* conn) { return Real(Function::kErrorMessage, &PQerrorMessage)(conn); }
void PQfinish(PGconn* conn) { Real(Function::kFinish, &PQfinish)(conn); }
int PQgetisnull(const PGresult* res, int row, int field) {
  return Real(Function::kGetIsNull, &PQgetisnull)(res, row, field);
}
int PQgetlength(const PGresult* res, int row, int field) {
  return Real(Function::kGetLength, &PQgetlength)(res, row, field);
}
PGresult* PQgetResult(PGconn* conn) { return Real(Function::kGetResult, &PQgetResult)(conn); }
char* PQgetvalue(const PGresult* res, int row, int field) {
  return Real(Function::kGetValue, &PQgetvalue)(res, row, field);
}
int PQisBusy(PGconn* conn) { return Real(Function::kIsBusy, &PQisBusy)(conn); }
int PQnfields(const PGresult* res) { return Real(Function::kFieldCount, &PQnfields)(res); }
int PQntuples(const PGresult* res) { return Real(Function::kTupleCount, &PQntuples)(res); }
char* PQresultErrorField(const PGresult* res, int field) {
  return Real(Function::kResultErrorField, &PQresultErrorField)(res, field);
}
ExecStatusType PQresultStatus(const PGresult* res) { return Real(Function::kResultStatus, &PQresultStatus)(res); }
int PQsendQuery(PGconn* conn, const char* query) { return Real(Function::kSendQuery, &PQsendQuery)(conn, query); }
int PQsendQueryParams(PGconn* conn, const char* command, int count, const Oid* types, const char* const* values,
                      const int* lengths, const int* formats, int result_format) {
  return Real(Function::kSendQueryParams, &PQsendQueryParams)(conn, command, count, types, values, lengths, formats,
                                                              result_format);
}
int PQserverVersion(const PGconn* conn) { return Real(Function::kServerVersion, &PQserverVersion)(conn); }
PGVerbosity PQsetErrorVerbosity(PGconn* conn, PGVerbosity verbosity) {
  return Real(Function::kSetErrorVerbosity, &PQsetErrorVerbosity)(conn, verbosity);
}
PQnoticeProcessor PQsetNoticeProcessor(PGconn* conn, PQnoticeProcessor processor, void* arg) {
  return Real(Function::kSetNoticeProcessor, &PQsetNoticeProcessor)(conn, processor, arg);
}
int PQsocket(const PGconn* conn) { return Real(Function::kSocket, &PQsocket)(conn); }
ConnStatusType PQstatus(const PGconn* conn) { return Real(Function::kStatus, &PQstatus)(conn); }

}  // extern "C"
