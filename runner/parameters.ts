import {
  type Mapping,
  mappingName,
  parseMapping,
  parseTarget,
  type Target,
  targetName,
} from "../deployment/mapping";
import { orFail } from "./failure";
import type { Host } from "./host";

/** @throws Failure or MappingError, which name the parameter */
export async function readMapping({ environment, aws, log }: Host): Promise<Mapping> {
  const name = mappingName(environment.parameters, environment.bucket);
  const words = `the bucket has no mapping: parameter ${name} cannot be read`;
  return parseMapping(name, await orFail(aws.parameter(name), words, log.complain));
}

/** @throws Failure, which names the parameter */
export async function readTarget({ environment, aws, log }: Host, { flywayConf }: Mapping): Promise<string> {
  const name = targetName(environment.parameters, flywayConf);
  const words = `no target is named ${flywayConf}: parameter ${name} cannot be read`;
  return orFail(aws.parameter(name), words, log.complain);
}

/** @throws MappingError, which names the parameter */
export function targetIn({ environment }: Host, { flywayConf }: Mapping, text: string): Target {
  return parseTarget(targetName(environment.parameters, flywayConf), text);
}
