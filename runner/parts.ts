/*
 * What of a schema is looked at, as queries that MySQL and MariaDB both understand. Each takes the schema's name for every `?` in it,
 * and answers with rows of `kind`, `name` and `is`.
 */

const IN_SCHEMA = "TABLE_SCHEMA = ? AND TABLE_NAME <> 'flyway_schema_history'";

/** With its partitions: their order and bounds. */
const TABLES = `SELECT 'table' AS kind, TABLE_NAME AS name, CONCAT_WS(' ', ENGINE, NULLIF(TABLE_TYPE, 'BASE TABLE'), TABLE_COLLATION,
    NULLIF(CREATE_OPTIONS, ''), CONCAT('COMMENT ''', NULLIF(TABLE_COMMENT, ''), ''''), partitions) AS \`is\`
  FROM information_schema.TABLES LEFT JOIN (
    SELECT TABLE_NAME, CONCAT('BY ', MIN(PARTITION_METHOD), ' (', COALESCE(MIN(PARTITION_EXPRESSION), ''), ') ',
      GROUP_CONCAT(CONCAT_WS(' ', PARTITION_NAME, SUBPARTITION_NAME, PARTITION_DESCRIPTION)
        ORDER BY PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION)) AS partitions
    FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = ? AND PARTITION_NAME IS NOT NULL GROUP BY TABLE_NAME
  ) AS partitioned USING (TABLE_NAME)
  WHERE ${IN_SCHEMA} AND TABLE_TYPE NOT LIKE '%VIEW'`;

const COLUMNS = `SELECT 'column' AS kind, CONCAT(TABLE_NAME, '.', COLUMN_NAME) AS name, CONCAT_WS(' ', COLUMN_TYPE,
    CONCAT('COLLATE ', COLLATION_NAME), IF(IS_NULLABLE = 'NO', 'NOT NULL', NULL), CONCAT('DEFAULT ', COLUMN_DEFAULT),
    NULLIF(EXTRA, ''), CONCAT('AS ', NULLIF(GENERATION_EXPRESSION, '')), CONCAT('COMMENT ''', NULLIF(COLUMN_COMMENT, ''), '''')) AS \`is\`
  FROM information_schema.COLUMNS
  WHERE ${IN_SCHEMA} AND TABLE_NAME NOT IN (SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?)`;

/** @param state what says whether the server uses it */
const indexes = (
  state: string,
) => `SELECT 'index' AS kind, CONCAT(TABLE_NAME, '.', INDEX_NAME) AS name, CONCAT(IF(MIN(NON_UNIQUE) = 0, 'UNIQUE ', ''),
    IF(MIN(INDEX_TYPE) = 'BTREE', '', CONCAT(MIN(INDEX_TYPE), ' ')), '(', GROUP_CONCAT(CONCAT(COALESCE(COLUMN_NAME, 'an expression'),
      COALESCE(CONCAT('(', SUB_PART, ')'), ''), IF(COLLATION = 'D', ' DESC', '')) ORDER BY SEQ_IN_INDEX), ')', ${state}) AS \`is\`
  FROM information_schema.STATISTICS WHERE ${IN_SCHEMA} GROUP BY TABLE_NAME, INDEX_NAME`;

/** MySQL's, MariaDB's from 10.6 on, and that of servers that have no such thing. */
const INDEXES = [
  indexes("IF(MIN(IS_VISIBLE) = 'NO', ' INVISIBLE', '')"),
  indexes("IF(MIN(IGNORED) = 'YES', ' IGNORED', '')"),
  indexes("''"),
];

/** Where the login may not read a definition, when it was made, as far as the server tells. */
const VIEWS = `SELECT 'view' AS kind, TABLE_NAME AS name, CONCAT_WS(' ', COALESCE(NULLIF(VIEW_DEFINITION, ''), CREATE_TIME),
    NULLIF(CONCAT('WITH CHECK OPTION ', CHECK_OPTION), 'WITH CHECK OPTION NONE'), 'SQL SECURITY', SECURITY_TYPE, DEFINER) AS \`is\`
  FROM information_schema.VIEWS JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME) WHERE TABLE_SCHEMA = ?`;

/** A procedure and a function of one name are one part. Where the login may not read a body, when it was altered. */
const ROUTINES = `SELECT 'routine' AS kind, ROUTINE_NAME AS name, GROUP_CONCAT(CONCAT_WS(' ', ROUTINE_TYPE, parameters,
      CONCAT('RETURNS ', DTD_IDENTIFIER), COALESCE(ROUTINE_DEFINITION, LAST_ALTERED), IF(IS_DETERMINISTIC = 'YES', 'DETERMINISTIC', NULL),
      SQL_DATA_ACCESS, NULLIF(ROUTINE_COMMENT, ''), 'SQL SECURITY', SECURITY_TYPE, DEFINER)
    ORDER BY ROUTINE_TYPE SEPARATOR '; ') AS \`is\`
  FROM information_schema.ROUTINES LEFT JOIN (
    SELECT SPECIFIC_NAME, ROUTINE_TYPE, CONCAT('(', GROUP_CONCAT(CONCAT_WS(' ', PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER,
        CHARACTER_SET_NAME) ORDER BY ORDINAL_POSITION), ')') AS parameters
    FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = ? AND ORDINAL_POSITION > 0 GROUP BY SPECIFIC_NAME, ROUTINE_TYPE
  ) AS parameterized USING (SPECIFIC_NAME, ROUTINE_TYPE)
  WHERE ROUTINE_SCHEMA = ? GROUP BY ROUTINE_NAME`;

const TRIGGERS = `SELECT 'trigger' AS kind, TRIGGER_NAME AS name, CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, 'ON',
    EVENT_OBJECT_TABLE, ACTION_STATEMENT, DEFINER) AS \`is\`
  FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?`;

const EVENTS = `SELECT 'event' AS kind, EVENT_NAME AS name, CONCAT_WS(' ', CONCAT('AT ', EXECUTE_AT),
    CONCAT('EVERY ', INTERVAL_VALUE), INTERVAL_FIELD, CONCAT('STARTS ', STARTS), CONCAT('ENDS ', ENDS), EVENT_DEFINITION, STATUS,
    ON_COMPLETION, NULLIF(EVENT_COMMENT, ''), DEFINER) AS \`is\`
  FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?`;

const FOREIGN_KEYS = `SELECT 'foreign key' AS kind, CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME) AS name,
    CONCAT_WS(' ', columns, 'ON DELETE', DELETE_RULE, 'ON UPDATE', UPDATE_RULE) AS \`is\`
  FROM (
    SELECT TABLE_NAME, CONSTRAINT_NAME, CONCAT('(', GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION), ') REFERENCES ',
      IF(MIN(REFERENCED_TABLE_SCHEMA) = MIN(TABLE_SCHEMA), '', CONCAT(MIN(REFERENCED_TABLE_SCHEMA), '.')), MIN(REFERENCED_TABLE_NAME),
      ' (', GROUP_CONCAT(REFERENCED_COLUMN_NAME ORDER BY ORDINAL_POSITION), ')') AS columns
    FROM information_schema.KEY_COLUMN_USAGE
    WHERE TABLE_SCHEMA = ? AND CONSTRAINT_SCHEMA = ? AND REFERENCED_TABLE_NAME IS NOT NULL GROUP BY TABLE_NAME, CONSTRAINT_NAME
  ) AS referring NATURAL JOIN (
    SELECT DISTINCT TABLE_NAME, CONSTRAINT_NAME, DELETE_RULE, UPDATE_RULE
    FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?
  ) AS rules`;

/**
 * By all columns that both have: with the table's name on MariaDB, where a constraint's name is its table's own. DISTINCT has each
 * read once: else MySQL reads one for each row of the other.
 */
const CHECKS = `SELECT 'check' AS kind, CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME) AS name, CHECK_CLAUSE AS \`is\`
  FROM (
    SELECT DISTINCT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS
    WHERE TABLE_SCHEMA = ? AND CONSTRAINT_SCHEMA = ? AND CONSTRAINT_TYPE = 'CHECK'
  ) AS constraints NATURAL JOIN (SELECT DISTINCT * FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?) AS checks`;

/** All of the server's but its own; what is in the others is not looked at. */
const schemas = (
  comment: string,
) => `SELECT 'schema' AS kind, SCHEMA_NAME AS name, CONCAT_WS(' ', DEFAULT_COLLATION_NAME, ${comment}) AS \`is\`
  FROM information_schema.SCHEMATA
  WHERE LOWER(SCHEMA_NAME) NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')`;

/** MariaDB's, from 10.5 on, and that of servers whose schemas have no comments. */
const SCHEMAS = [schemas("CONCAT('COMMENT ''', NULLIF(SCHEMA_COMMENT, ''), '''')"), schemas("NULL")];

/** Of each kind of part, the queries of which the first counts that the server understands. */
export const PARTS: readonly (readonly string[])[] = [
  ...[TABLES, COLUMNS, VIEWS, ROUTINES, TRIGGERS, EVENTS, FOREIGN_KEYS, CHECKS].map((query) => [query]),
  ...[INDEXES, SCHEMAS],
];
