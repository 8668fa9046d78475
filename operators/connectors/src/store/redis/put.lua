-- Rows of one slot, written unless another run of the job has taken over or a newer version is there.
-- KEYS: the fence; of each row its key and where it is remembered once it is deleted.
-- ARGV: generation; version; how long deletes are remembered, ms; of each row `d`, or `p` with
-- the numbers of its fields, of those that go and of those with a time to live, its own time
-- to live (0: as it is), and then all of these.
local generation, version, remembered = ARGV[1], ARGV[2], ARGV[3]
local fence = redis.call('GET', KEYS[1])
if fence and fence > generation then
    return redis.error_reply('FENCED by ' .. fence)
elseif fence ~= generation then
    redis.call('SET', KEYS[1], generation)
end
local order, owner = string.sub(version, 1, -9), string.sub(version, -8)
local at, passed = 4, 0
-- Lua takes so many arguments at once.
local function each(command, key, first, last)
    for from = first, last, 4000 do
        redis.call(command, key, unpack(ARGV, from, math.min(from + 3999, last)))
    end
end
for i = 2, #KEYS, 2 do
    local row, gone = KEYS[i], KEYS[i + 1]
    local held = redis.call('HGET', row, '~v') or redis.call('GET', gone)
    local older = held and string.sub(held, -8) == owner and string.sub(held, 1, -9) > order
    if older then
        passed = passed + 1
    end
    if ARGV[at] == 'd' then
        if not older then
            redis.call('DEL', row)
            redis.call('SET', gone, version, 'PX', remembered)
        end
        at = at + 1
    else
        local sets, goes, times = ARGV[at + 1] * 2, ARGV[at + 2] + 0, ARGV[at + 3] * 2
        local ttl = ARGV[at + 4]
        local set = at + 5
        local go = set + sets
        local time = go + goes
        at = time + times
        if not older then
            redis.call('HSET', row, '~v', version)
            each('HSET', row, set, go - 1)
            each('HDEL', row, go, time - 1)
            if ttl ~= '0' then
                redis.call('PEXPIRE', row, ttl)
            end
            for j = time, at - 1, 2 do
                redis.call('HPEXPIRE', row, ARGV[j + 1], 'FIELDS', 1, ARGV[j])
            end
        end
    end
end
return passed
