import { beforeEach } from "vitest";
import { mysqld } from "./mysql";

// Where there is no MySQL, which was said by then, no test may pass on another server.
beforeEach(({ skip }) => skip(mysqld() === undefined, "there is no MySQL"));
