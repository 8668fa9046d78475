-- The next generation of a job's runs: above all earlier ones, also when their fence was lost. Nothing is written behind
-- it yet, as put.lua reads it.
-- KEYS: the fence.
local held = tonumber(string.sub(redis.call('GET', KEYS[1]) or '0', 1, 12), 16)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local generation = string.format('%012x', math.max(held + 1, now))
redis.call('SET', KEYS[1], generation .. ':')
return generation
