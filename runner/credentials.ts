/** Who logs in at a database. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/**
 * Reads a secret.
 *
 * @param arn names it in errors
 * @throws if it is not JSON with both members, or has what Flyway makes something else of in its environment
 */
export function parseCredentials(arn: string, secret: string): Credentials {
  let members: { username?: unknown; password?: unknown } | null = null;
  try {
    members = JSON.parse(secret);
  } catch {
    // refused below
  }
  const { username: user, password } = members ?? {};
  if (typeof user !== "string" || typeof password !== "string" || user === "" || password === "") {
    throw new Error(`the secret ${arn} has no username and password: it must be JSON with both`);
  }
  for (const word of [user, password]) {
    if (/\$\{[\s\S]*\}/.test(word)) {
      throw new Error(
        `the secret ${arn} has \${…} in its password, which Flyway would take for a placeholder: change the password`,
      );
    }
    if (word !== word.trim()) {
      throw new Error(
        `the secret ${arn} has a space at an end of its password, which Flyway would take away: change the password`,
      );
    }
  }
  return { user, password };
}
