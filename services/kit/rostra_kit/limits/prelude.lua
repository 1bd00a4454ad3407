-- What every script of this package starts with; the loader puts it, and the three kinds of claim, in front of each.
--
-- KEYS[1]   the reservation's record; then each claim's keys, in the order of the claims
-- ARGV[1]   the time in microseconds, or '' for the server's own clock (only tests pass a time)
-- ARGV[2]   the reservation's id
-- ARGV[3]   how long slots and budget holds outlive a silent owner, in milliseconds
-- ARGV[4+]  five per claim: kind, limit, cost, period (of a budget: what is left of it, or NEVER when unknown) in
--           microseconds, actual cost or ''
--
-- Numbers travel as strings both ways: a reply would cut a Lua number to an integer, and tostring() to 14 digits.

local NEVER = -1
local OPEN, CLOSED = 'open', 'closed'
-- How long a closed reservation is remembered. Longer than anyone repeats a settlement (see RetryQueue).
local RECORD_MS = 120000
-- What holds a slot or unsettled money may end at any moment, so a refused caller is told to ask again soon.
local ASK_AGAIN_US = 1000000

local now_us = tonumber(ARGV[1])
if not now_us then
  local time = redis.call('TIME')
  now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
end
local now_ms = math.floor(now_us / 1000)
local record_key, reservation_id, hold_ms = KEYS[1], ARGV[2], tonumber(ARGV[3])

-- Each kind answers load() (false: cannot be judged yet), wait_us(), take(), remaining(), reset_us(), settle(was_open)
-- and renew() (false: it has lapsed).
local kinds = {}

local function integer(number)
  return string.format('%.0f', number)
end

-- PEXPIRE ... GT, which Redis 6.2 does not have: several reservations share a key, the longest hold decides.
local function outlive(key, ttl_ms)
  if redis.call('PTTL', key) < ttl_ms then
    redis.call('PEXPIRE', key, integer(ttl_ms))
  end
end

local function read_claims()
  local claims, next_key = {}, 2
  for at = 4, #ARGV, 5 do
    local kind = kinds[ARGV[at]]
    local claim = {
      key = KEYS[next_key],
      holds_key = KEYS[next_key + 1], -- read by budgets only
      limit = tonumber(ARGV[at + 1]),
      cost = tonumber(ARGV[at + 2]),
      period_us = tonumber(ARGV[at + 3]),
      actual = tonumber(ARGV[at + 4]),
    }
    next_key = next_key + kind.key_count
    claims[#claims + 1] = setmetatable(claim, { __index = kind })
  end
  return claims
end
