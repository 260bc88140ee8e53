import { beforeEach, inject } from "vitest";
import { MYSQLD } from "./mysql";

const mysqld = inject("mysqld");
if (mysqld) process.env[MYSQLD] = mysqld;

// Where there is no MySQL, which was said by then, no test may pass on another server.
beforeEach(({ skip }) => skip(mysqld === undefined, "there is no MySQL"));
