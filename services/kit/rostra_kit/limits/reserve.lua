-- Take every claim, or none. Replies {status, then per claim: remaining, reset_us, wait_us}, where status is
--   granted   everything is taken, now or by an earlier call with the same id (a repeat after a lost reply)
--   refused   nothing is taken; a wait of 0 marks the claims that would have passed, NEVER those that never will
--   unseeded  nothing is taken; {status, n}: the n-th claim's budget has no counter yet
--   closed    nothing is taken; the reservation was settled before, or cancelled before this call arrived

local record = redis.call('GET', record_key)
if record == CLOSED then
  return { 'closed' }
end

local claims = read_claims()
for n, claim in ipairs(claims) do
  if not claim:load() then
    return { 'unseeded', integer(n) }
  end
end

local waits, granted = {}, true
for n, claim in ipairs(claims) do
  waits[n] = record == OPEN and 0 or claim:wait_us()
  granted = granted and waits[n] == 0
end

if granted and record ~= OPEN then
  for _, claim in ipairs(claims) do
    claim:take()
  end
  redis.call('SET', record_key, OPEN, 'PX', integer(hold_ms + RECORD_MS))
end

local reply = { granted and 'granted' or 'refused' }
for n, claim in ipairs(claims) do
  reply[#reply + 1] = integer(claim:remaining())
  reply[#reply + 1] = integer(claim:reset_us())
  reply[#reply + 1] = integer(waits[n])
end
return reply
