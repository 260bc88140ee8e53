/** What the command ends with. */
export const EXIT = {
  /** All is applied, or there was nothing to do. */
  success: 0,
  /** Wrong arguments, no deployment, no network, or a fault of ours. */
  error: 1,
  /** A file was refused: it was not tried. */
  refused: 2,
  /** A file, or the run for it, failed. */
  failed: 3,
  /** No verdict in time; the migration goes on. */
  timedOut: 4,
  /** AWS does not allow a call, or knows no credentials. */
  denied: 5,
  /** Ctrl-C, as a shell has it; the migration goes on. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends the command, with words for a person. */
export class CliError extends Error {
  /**
   * @param message what is wrong
   * @param remedy what to do about it
   */
  constructor(
    message: string,
    readonly remedy: string,
    readonly exitCode: ExitCode = EXIT.error,
  ) {
    super(message);
  }
}

/** The errors by which AWS says that somebody may not do something, or is nobody. */
const DENIED = /^(AccessDenied|AccessDeniedException|UnauthorizedOperation|Forbidden|403)$/;
const NOBODY =
  /^(CredentialsProviderError|ExpiredToken|ExpiredTokenException|InvalidAccessKeyId|UnrecognizedClientException|InvalidClientTokenId|SignatureDoesNotMatch|TokenRefreshRequired)$/;
const NO_NETWORK = /^(ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|TimeoutError|NetworkingError)$/;

/** What an error of whatever kind says to a person. */
export function explain(error: unknown): CliError {
  if (error instanceof CliError) return error;
  const {
    name = "",
    code = "",
    message = String(error),
  } = (error ?? {}) as Partial<Error> & { code?: string };
  if (NOBODY.test(name)) {
    return new CliError(
      `AWS knows no valid credentials: ${message}`,
      "log in (aws sso login), or name a profile with --profile",
      EXIT.denied,
    );
  }
  if (DENIED.test(name)) {
    return new CliError(
      `AWS does not allow it: ${message}`,
      "attach the policy in docs/permissions.md to whoever runs this",
      EXIT.denied,
    );
  }
  if (NO_NETWORK.test(code) || NO_NETWORK.test(name)) {
    return new CliError(
      `AWS cannot be reached: ${message || code || name}`,
      "see to the network, the region (--region) and --endpoint-url",
    );
  }
  if (/region is missing/i.test(message)) {
    return new CliError("No region is set", "set AWS_REGION, or name one with --region");
  }
  return new CliError(message || name, "see flyway-aws --help");
}
