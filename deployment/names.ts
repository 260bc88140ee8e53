/** A stage: lower-case words, short enough to leave a database's name room in its bucket's. */
const STAGE = /^(?=.{1,16}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** The words by which a stage is one of production: `prod`, `prod-eu`, `live`; `pre-prod` too, to be on the safe side. */
const PRODUCTION = ["prod", "production", "prd", "live"];

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

  /** Whether a word of the stage is prod, production, prd or live. Without a stage it is not. */
  get production(): boolean {
    return this.stage?.split("-").some((word) => PRODUCTION.includes(word)) ?? false;
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
