-- Money: a counter of what is settled and, beside it, a sorted set of what is held, scored by the millisecond in which
-- the hold lapses. A member is '<reservation id>:<amount>'. Holds are summed on every call: they are as many as the
-- calls in flight of one budget, and a sum cannot drift as a second counter could.

local budget = { key_count = 2 }
kinds.budget = budget

-- Answers false when nobody has said yet what was spent: the counter is new, or Redis was emptied.
function budget:load()
  redis.call('ZREMRANGEBYSCORE', self.holds_key, '-inf', integer(now_ms))
  self.spent = tonumber(redis.call('GET', self.key))
  self.held = 0
  for _, member in ipairs(redis.call('ZRANGE', self.holds_key, 0, -1)) do
    self.held = self.held + tonumber(string.match(member, ':(%d+)$'))
  end
  return self.spent ~= nil
end

function budget:member()
  return reservation_id .. ':' .. integer(self.cost)
end

function budget:wait_us()
  if self.cost == 0 or self.spent + self.held + self.cost <= self.limit then
    return 0
  end
  if self.cost > self.limit then
    return NEVER
  end
  if self.spent + self.cost > self.limit then
    return self.period_us -- what is left of the period, or NEVER when the caller did not say
  end
  return ASK_AGAIN_US
end

function budget:hold()
  if self.cost > 0 then
    redis.call('ZADD', self.holds_key, integer(now_ms + hold_ms), self:member())
    outlive(self.holds_key, hold_ms)
  end
end

function budget:take()
  self:hold()
  self.held = self.held + self.cost
end

function budget:remaining()
  return math.max(0, self.limit - self.spent - self.held)
end

function budget:reset_us()
  return math.max(0, self.period_us)
end

-- A missing counter stays missing: the ledger, from which it will be seeded, learns of this cost by itself.
function budget:settle()
  redis.call('ZREM', self.holds_key, self:member())
  if self.actual and self.actual > 0 and redis.call('EXISTS', self.key) == 1 then
    redis.call('INCRBY', self.key, integer(self.actual))
  end
end

-- Unlike a slot, a lapsed hold is taken again: the money is being spent, whoever else was let in meanwhile.
function budget:renew()
  self:hold()
  return true
end
