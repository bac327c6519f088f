-- Offers views, of any players of one slot, and tells watchers of those that are written.
--
-- KEYS[i]                  the hash of the i-th view's player; the same one may come many times
-- ARGV[3i-2 .. 3i]         the i-th view's state key, version, value
-- returns                  a letter a view: 'w' written, 's' stale (the cache has it, or newer), 'c' concurrent

local answers = {}
for i = 1, #KEYS do
  local at = 3 * i
  answers[i] = offer(KEYS[i], ARGV[at - 2], ARGV[at - 1], ARGV[at])
end
return table.concat(answers)
