/** A stage: lower-case words, short enough to leave a database's name room in its bucket's. */
const STAGE = /^(?=.{1,16}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** The names of one deployment's objects. */
export class Names {
  /** What is put behind a name: `-dev`; empty without a stage. */
  readonly suffix: string;

  /**
   * @param stage tells several deployments in one account apart; without it, names are the contract's
   * @throws if it is not 1 to 16 lower-case letters, digits and single hyphens, beginning with a letter
   */
  constructor(readonly stage?: string) {
    if (stage !== undefined && !STAGE.test(stage)) {
      throw new Error(
        `stage ${JSON.stringify(stage)} is no valid name: use 1 to 16 lower-case letters, digits and single hyphens, beginning with a letter, such as "dev".`,
      );
    }
    this.suffix = stage === undefined ? "" : `-${stage}`;
  }

  /**
   * Whether the stage is called `prod`, `prd`, `production` or `live`, or begins with that and a hyphen: such a
   * deployment is protected by default. Without a stage the defaults are the contract's.
   */
  get isProduction(): boolean {
    return /^(prod|prd|production|live)(-|$)/.test(this.stage ?? "");
  }

  /** `flyway-host` as it is; in stage dev `flyway-host-dev`. */
  of(name: string): string {
    return `${name}${this.suffix}`;
  }

  /** What the names of this deployment's parameters begin with: `/flyway`, in stage dev `/flyway-dev`. */
  get parameters(): string {
    return this.of("/flyway");
  }
}
