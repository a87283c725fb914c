// What is done and looked at once the server answers and before the user's client does.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "postgres/client/connection.h"

namespace pgstrata::branch {

// Connects to a database of the same server as the same superuser.
using DatabaseConnector = std::function<Result<client::Connection>(const std::string& database)>;

struct PostStartReport {
  std::vector<std::string> warnings;
};

// - Subscriptions are disabled and lose their slot names (trap 22): nothing done inside can take over the publisher's
// slot.
// - Prepared transactions are named (34): they hold locks.
// - Indexes whose collation sorts differently here are named (29); with `no_text_index` the planner is kept off them.
// `connection` is a superuser's.
Result<PostStartReport> CheckAfterStart(client::Connection& connection, const DatabaseConnector& connect,
                                        bool no_text_index);

}  // namespace pgstrata::branch
