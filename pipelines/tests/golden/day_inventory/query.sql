-- Stock is what came in less what went out; the list of what to order now follows it.
CREATE TABLE `receipts`  (`sku` STRING, `pieces` INT, `pallet` STRING) WITH ('connector' = 'filesystem', 'path' = '${CASE}/receipts.json', 'format' = 'json');
CREATE TABLE `shipments` (`sku` STRING, `pieces` INT, `box` INT) WITH ('connector' = 'filesystem', 'path' = '${CASE}/shipments.json', 'format' = 'json');
CREATE TABLE `products` (
  `sku` STRING, `title` STRING, `reorder_below` INT, `lot` INT,
  PRIMARY KEY (`sku`) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/products.json', 'format' = 'json');

CREATE VIEW `stock` AS
SELECT `sku`, SUM(`moved`) AS `pieces`, COUNT(*) AS `movements`
FROM (
  SELECT `sku`, `pieces` AS `moved` FROM `receipts`
  UNION ALL
  SELECT `sku`, -`pieces` FROM `shipments`
)
GROUP BY `sku`;

CREATE TABLE `to_order` (
  `sku` STRING,
  `title` STRING,
  `pieces` INT,
  `lots` INT,
  PRIMARY KEY (`sku`) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO `to_order`
SELECT `p`.`sku`, `p`.`title`, COALESCE(`s`.`pieces`, 0),
       (`p`.`reorder_below` - COALESCE(`s`.`pieces`, 0)) / `p`.`lot` + 1
FROM `products` AS `p`
LEFT JOIN `stock` AS `s` ON `p`.`sku` = `s`.`sku`
WHERE COALESCE(`s`.`pieces`, 0) < `p`.`reorder_below`;
