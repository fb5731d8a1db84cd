-- SPDX-FileCopyrightText: The signalbox authors
-- SPDX-License-Identifier: Apache-2.0
-- For wrk: sends the requests of a file one after the other. Each is two lines: the signature header's value and the body.
-- A thread starts at a place of its own, so that none is sent twice before the file is used up.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  requests = {}
  local file = io.open(args[1])
  while true do
    local signature, body = file:read("l"), file:read("l")
    if not body then break end
    requests[#requests + 1] = wrk.format("POST", args[2], { ["Content-Type"] = "application/json", ["Stripe-Signature"] = signature }, body)
  end
  file:close()
  at = math.floor(number * #requests / tonumber(args[3]))
end

function request()
  at = at % #requests + 1
  return requests[at]
end
