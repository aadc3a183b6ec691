import { z } from 'zod';
import { parseDuration } from './words.js';

/** How single values of a playbook are written; each complains in the words of whoever wrote it. */

const NAME = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const SERVICE = /^[a-z0-9][-a-z0-9]*\/[a-z0-9][-a-z0-9]*$/;

export const duration = z.string({ error: 'write a duration: 30s, 10m or 1h30m' }).transform((text, context) => {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  context.addIssue({ code: 'custom', message: `"${text}" is not a duration: write 30s, 10m or 1h30m` });
  return z.NEVER;
});

/** `0.1%` or `0.1 %` → 0.001 */
export const percent = z.string({ error: 'write a percentage: 0.1%' }).transform((text, context) => {
  const found = /^(\d+(?:\.\d+)?)\s*%$/.exec(text);
  const value = found ? Number(found[1]) : Number.NaN;
  if (value >= 0 && value <= 100) return value / 100;
  context.addIssue({ code: 'custom', message: `"${text}" is not a percentage from 0% to 100%: write 0.1%` });
  return z.NEVER;
});

export const name = z
  .string()
  .regex(NAME, 'is not a Kubernetes name: lower-case letters, digits and dashes, at most 63');
export const serviceName = z.string().regex(SERVICE, 'is not NAMESPACE/NAME, e.g. shop/web');

/** a program and its arguments; no shell reads them */
export const command = z.array(z.string().min(1)).min(1, 'needs at least the program');

export const httpUrl = z.string().superRefine((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    context.addIssue({ code: 'custom', message: `"${text}" is not an http or https URL` });
  } else if (url.username || url.password) {
    context.addIssue({ code: 'custom', message: 'has credentials in the URL: they would end up in logs' });
  }
});
