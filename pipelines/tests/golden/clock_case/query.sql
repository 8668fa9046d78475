-- The clock in CASE and COALESCE, and twice in an expression.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  a STRING,
  b BOOLEAN,
  c BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
  CASE WHEN ts < LOCALTIMESTAMP THEN 'before' ELSE 'after' END,
  COALESCE(CURRENT_TIMESTAMP, NOW()) IS NULL,
  UNIX_TIMESTAMP() - UNIX_TIMESTAMP()
FROM ev WHERE v IS NOT NULL;
