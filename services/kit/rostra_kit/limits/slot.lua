-- A number of things at once: a sorted set of reservation ids scored by the millisecond in which they lapse, so the
-- slots of an owner that died come free by themselves.

local slot = { key_count = 1 }
kinds.slot = slot

function slot:load()
  redis.call('ZREMRANGEBYSCORE', self.key, '-inf', integer(now_ms))
  self.used = redis.call('ZCARD', self.key)
  return true
end

function slot:wait_us()
  if self.limit < 1 then
    return NEVER
  end
  if self.used < self.limit then
    return 0
  end
  local first = redis.call('ZRANGE', self.key, 0, 0, 'WITHSCORES')
  return math.min((tonumber(first[2]) - now_ms) * 1000, ASK_AGAIN_US)
end

function slot:hold()
  redis.call('ZADD', self.key, integer(now_ms + hold_ms), reservation_id)
  outlive(self.key, hold_ms)
end

function slot:take()
  self:hold()
  self.used = self.used + 1
end

function slot:remaining()
  return math.max(0, self.limit - self.used)
end

function slot:reset_us()
  local last = redis.call('ZRANGE', self.key, -1, -1, 'WITHSCORES')
  return last[2] and (tonumber(last[2]) - now_ms) * 1000 or 0
end

function slot:settle()
  redis.call('ZREM', self.key, reservation_id)
end

-- A lapsed slot may be another's by now: it is not taken back.
function slot:renew()
  self:load()
  if not redis.call('ZSCORE', self.key, reservation_id) then
    return false
  end
  self:hold()
  return true
end
