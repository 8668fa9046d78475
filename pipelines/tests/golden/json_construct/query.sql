-- JSON_OBJECT, JSON_ARRAY, JSON_STRING.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  d DOUBLE,
  b BOOLEAN,
  a ARRAY<INT>,
  p DECIMAL(10, 2)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 STRING,
  f9 STRING,
  f10 STRING,
  f11 STRING,
  f12 STRING,
  f13 STRING,
  f14 STRING,
  f15 STRING,
  f16 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       JSON_OBJECT('s' VALUE s, 'n' VALUE n),
       JSON_OBJECT(KEY 's' VALUE s, KEY 'b' VALUE b ABSENT ON NULL),
       JSON_OBJECT('o' VALUE JSON_OBJECT('n' VALUE n), 'l' VALUE JSON_ARRAY(1, n, s)),
       JSON_ARRAY(s, n, d, b),
       JSON_ARRAY(s, n NULL ON NULL),
       JSON_ARRAY(),
       JSON_OBJECT(),
       JSON_STRING(s),
       JSON_STRING(n),
       JSON_STRING(d),
       JSON_STRING(b),
       JSON_STRING(a),
       JSON_STRING(p),
       JSON_OBJECT('d' VALUE d, 'p' VALUE p, 'a' VALUE a),
       JSON_QUOTE(s),
       JSON_UNQUOTE(JSON_QUOTE(s))
FROM ev;
