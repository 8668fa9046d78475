-- LOCATE, INSTR, POSITION.
CREATE TABLE ev (
  id INT,
  s STRING,
  t STRING,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 INT,
  f3 INT,
  f4 INT,
  f5 BOOLEAN,
  f6 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       LOCATE(t, s),
       LOCATE(t, s, n),
       INSTR(s, t),
       POSITION(t IN s),
       STARTSWITH(s, t),
       ENDSWITH(s, t)
FROM ev;
