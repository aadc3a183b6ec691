import { mkdirSync, writeFileSync } from 'node:fs';
import { eventJsonSchema, playbookJsonSchema } from '../build/src/cli/schemas.js';

/** Writes the published schemas anew from the code: `npm run schemas`. */
const write = (file, schema) => {
  const url = new URL(`../${file}`, import.meta.url);
  mkdirSync(new URL('.', url), { recursive: true });
  writeFileSync(url, `${JSON.stringify(schema, undefined, 2)}\n`);
};
write('playbooks/schema.json', playbookJsonSchema());
write('docs/events.schema.json', eventJsonSchema());
