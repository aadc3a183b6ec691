import { refuse } from '../errors.js';
import type { Refusals } from '../parameters.js';

/** NLB says in its own words what is missing or malformed. @source vendor pages of NLB 2022-04-30, e.g. api-addserverstoservergroup-nlb */
export const nlbRefusals: Refusals = {
  missing: (name) => refuse(400, `MissingParam.${name}`, `The parameter of ${name} is missing.`),
  invalid: (name, why = `The param of ${name} is illegal.`) => refuse(400, `IllegalParam.${name}`, why),
};

export const notFound = (what: string, id: string): never =>
  refuse(404, `ResourceNotFound.${what}`, `The specified resource of ${what} ${id} is not found.`);

export const overQuota = (what: string): never =>
  refuse(400, 'QuotaExceeded.QuotaInsufficient', `The quota of ${what} is exceeded.`);
