-- TRY_CAST from text to dates and times.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DATE,
  f2 TIMESTAMP(3),
  f3 TIMESTAMP(0),
  f4 TIMESTAMP(6),
  f5 TIMESTAMP_LTZ(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TRY_CAST(s AS DATE),
       TRY_CAST(s AS TIMESTAMP(3)),
       TRY_CAST(s AS TIMESTAMP(0)),
       TRY_CAST(s AS TIMESTAMP(6)),
       TRY_CAST(s AS TIMESTAMP_LTZ(3))
FROM ev;
