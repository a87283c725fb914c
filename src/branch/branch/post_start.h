// What is done and looked at once the server answers and before the user's client does.
#pragma once

#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "postgres/client/connection.h"

namespace pgstrata::branch {

struct PostStartReport {
  std::vector<std::string> warnings;
};

// - Subscriptions are disabled and lose their slot names (trap 22): nothing done inside can take over the publisher's
//   slot.
// - Prepared transactions are named (34): they hold locks.
// - Indexes whose collation sorts differently here are named (29); with `no_text_index` the planner is kept off them.
// `connection` is a superuser's.
Result<PostStartReport> CheckAfterStart(client::Connection& connection, bool no_text_index);

// Takes session_preload_libraries out of ALTER ROLE ... SET and ALTER DATABASE ... SET (trap 36): a session of a role
// that is no superuser cannot say that it wants none, and one that is missing here would end it.
Status ForgetSessionLibraries(client::Connection& connection);

}  // namespace pgstrata::branch
