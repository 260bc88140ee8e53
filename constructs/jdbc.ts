/** MySQL's port. */
export const MYSQL_PORT = 3306;

/** The Terraform expression for the port in a target's URL. */
export function portOf(url: string): string {
  return `try(tonumber(regex("^[^?]*:([0-9]+)", ${url})[0]), ${MYSQL_PORT})`;
}

/** The Terraform expression for the host and the port in a target's URL. */
export function serverOf(url: string): string {
  return `format("%s:%d", regex("^jdbc:mysql://([^:/?]+)", ${url})[0], ${portOf(url)})`;
}
