-- Three best players of each game by their best round; earlier rounds break ties.
CREATE TABLE Scores (game STRING, player STRING, points INT, round_no INT)
WITH ('connector'='filesystem','path'='${CASE}/scores.json','format'='json');

CREATE TABLE Leaderboard (
  game STRING, place BIGINT, player STRING, best INT, rounds BIGINT,
  PRIMARY KEY (game, place) NOT ENFORCED
) WITH ('connector'='blackhole');

INSERT INTO Leaderboard
SELECT game, place, player, best, rounds FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY game ORDER BY best DESC, player ASC) AS place FROM (
    SELECT game, player, MAX(points) AS best, COUNT(*) AS rounds FROM Scores GROUP BY game, player
  ) best_rounds
) ranked
WHERE place <= 3;
