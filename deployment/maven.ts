import library from "mvn-artifact-url";

/**
 * The URL of an artifact in a Maven repository. The library is CommonJS with a default export, which Node.js, without a bundler
 * between, hands out a level deeper.
 */
export const artifactUrl = (library as unknown as { default?: typeof library }).default ?? library;
