-- Rows of one slot, written unless another run of the job has taken over or a newer version is there.
-- KEYS: the fence; of each row its key and where it is remembered once it is deleted.
-- ARGV: generation; version; how long deletes are remembered, ms; of each row `d`, or its own time to
-- live (0: as it is), the numbers of its fields, of those that go and of those with a time to live,
-- and then all of these.
local generation, version, remembered = ARGV[1], ARGV[2], ARGV[3]
local call, sub = redis.call, string.sub
local fence = call('GET', KEYS[1])
if fence and fence > generation then
    return redis.error_reply('FENCED by ' .. fence)
elseif fence ~= generation then
    call('SET', KEYS[1], generation)
end
local order, owner = sub(version, 1, -9), sub(version, -8)
local at, passed = 4, 0
-- Lua takes so many arguments at once.
local most = 4000
local function each(command, key, first, last)
    for from = first, last, most do
        call(command, key, unpack(ARGV, from, math.min(from + most - 1, last)))
    end
end
for i = 2, #KEYS, 2 do
    local row, gone = KEYS[i], KEYS[i + 1]
    local held = call('HGET', row, '~v') or call('GET', gone)
    local older = held and sub(held, -8) == owner and sub(held, 1, -9) > order
    if older then
        passed = passed + 1
    end
    local ttl = ARGV[at]
    if ttl == 'd' then
        if not older then
            call('DEL', row)
            call('SET', gone, version, 'PX', remembered)
        end
        at = at + 1
    else
        local set = at + 4
        local go = set + ARGV[at + 1] * 2
        local time = go + ARGV[at + 2]
        at = time + ARGV[at + 3] * 2
        if not older then
            -- The version goes with the first fields: a call costs more than what it carries.
            local first = math.min(set + most, go)
            call('HSET', row, '~v', version, unpack(ARGV, set, first - 1))
            if first < go then
                each('HSET', row, first, go - 1)
            end
            if go < time then
                each('HDEL', row, go, time - 1)
            end
            if ttl ~= '0' then
                call('PEXPIRE', row, ttl)
            end
            for j = time, at - 1, 2 do
                call('HPEXPIRE', row, ARGV[j + 1], 'FIELDS', 1, ARGV[j])
            end
        end
    end
end
return passed
