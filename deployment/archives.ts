import { artifactUrl } from "./maven";

/** Where a Flyway release is downloaded from, and what it must be. */
export interface FlywayArchive {
  /** `https://`; the host also takes `file://`. */
  readonly url: string;
  /** SHA-256 of the archive, 64 hexadecimal digits. */
  readonly sha256: string;
}

/** By Flyway version. */
export type FlywayArchives = Readonly<Record<string, FlywayArchive>>;

/** SHA-256 of Flyway's linux-x64 bundles, computed from the official ones in 2026-11. */
const SHA256: Readonly<Record<string, string>> = {
  "11.8.2": "66cb1221fbb467484b40d137e45d2a92a5a2e2a4f37b73c3aba3afd81b39d909",
  "10.22.0": "638df407be107e6b89318ec1b020f60e96290db64981e7308a0d9b674c7f2918",
  "9.22.3": "849c786360c4122653085abf3587cdfe3844bb4d8af38bd95d050ccb82867bb3",
  "7.7.3": "79b47241a491783d58001f7df944a24397a9e309f17d1cc70eb993e6473ef0f2",
};

/**
 * The official bundles that are known here. Flyway's makers publish them as Maven artifacts up to 11.8.2; the
 * library makes the URL from the coordinates.
 *
 * @param repository base URL of a Maven repository to use instead of the public one
 * @throws if it is no http(s) URL, or one with credentials, which would be in the state
 */
export async function officialArchives(repository?: string): Promise<FlywayArchives> {
  const archives = Object.entries(SHA256).map(
    async ([version, sha256]) => [version, { url: await bundleUrl(version, repository), sha256 }] as const,
  );
  return Object.fromEntries(await Promise.all(archives));
}

/**
 * The URL of the linux-x64 bundle as a Maven artifact; there is one up to 11.8.2.
 *
 * @param repository as of `officialArchives`, and so are the errors
 */
export async function bundleUrl(version: string, repository?: string): Promise<string> {
  if (repository) checkRepository(repository);
  const base = repository && !repository.endsWith("/") ? `${repository}/` : repository;
  const artifact = {
    groupId: "org.flywaydb",
    artifactId: "flyway-commandline",
    version,
    classifier: "linux-x64",
    extension: "tar.gz",
  };
  return artifactUrl(artifact, base || undefined);
}

function checkRepository(repository: string): void {
  const url = URL.canParse(repository) ? new URL(repository) : undefined;
  const plain = url && /^https?:$/.test(url.protocol) && url.href === `${url.origin}${url.pathname}`;
  if (!plain || /[$%]\{/.test(repository)) {
    throw new Error(
      `MAVEN_REPOSITORY ${JSON.stringify(repository)} is no repository's URL: use one such as https://mirror.example/maven/, without credentials and query.`,
    );
  }
}
