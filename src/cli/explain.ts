import { checks } from '../../checks/index.js';
import type { CheckText } from '../check.js';
import type { EndedEvent } from '../events.js';
import { WAIVERS } from '../preflight.js';
import { nearest } from '../words.js';
import { catalogue, exitText, type Entry } from './catalogue.js';
import type { ExplainedEvent } from './events.js';
import type { Flags } from './flags.js';
import type { Io } from './program.js';
import { usage } from './usage.js';

/** A check or an error, offline; without a code, all of them. */
export async function explain(
  code: string | undefined,
  { lang }: Pick<Flags, 'lang'>,
  { emit }: Io,
): Promise<EndedEvent> {
  const texts: readonly CheckText[] = [...checks, WAIVERS];
  if (code === undefined) {
    emit({
      type: 'explainable',
      checks: texts.map((it) => ({ code: it.id, asks: lang === 'zh' ? it.zh.asks : it.asks })),
      errors: Object.entries(catalogue).map(([name, it]) => ({ code: name, means: it[lang].means })),
    });
    return { type: 'ended', outcome: 'done', exit: 0, next: 'migrate explain CODE' };
  }
  const check = texts.find((it) => it.id === code.toLowerCase());
  const error = catalogue[code.toUpperCase()];
  if (check) emit(explainedCheck(check, lang));
  else if (error) emit(explainedError(code.toUpperCase(), error, lang));
  else {
    const meant =
      nearest(
        code.toLowerCase(),
        texts.map((it) => it.id),
      ) ?? nearest(code.toUpperCase(), Object.keys(catalogue));
    throw usage(
      `There is neither a check nor an error "${code}".`,
      'Checks have names like removed-apis, errors like LOCK_HELD.',
      meant === undefined ? 'See them all: `migrate explain`.' : `Did you mean \`migrate explain ${meant}\`?`,
    );
  }
  return { type: 'ended', outcome: 'done', exit: 0 };
}

const OUTCOME = {
  en: { refuse: 'a refusal: nothing is changed until it is mended or waived', warn: 'a warning: nothing is stopped' },
  zh: { refuse: '拒绝：在解决或豁免之前不会做任何改动', warn: '警告：不会阻止执行' },
};

function explainedCheck(check: CheckText & { reads?: object }, lang: Flags['lang']): ExplainedEvent {
  const { asks, why, fix } = lang === 'zh' ? check.zh : { asks: check.asks, ...check.hint };
  return {
    type: 'explained',
    code: check.id,
    kind: 'check',
    lang,
    asks,
    outcome: OUTCOME[lang][check.severity],
    why,
    how: howFound(check, lang),
    do: fix,
    sources: check.sources,
  };
}

/** From what the check reads: it only ever looks at what was captured. */
function howFound(
  { reads = {} }: { reads?: { source?: string[]; target?: string[]; cloud?: boolean; databases?: boolean } },
  lang: Flags['lang'],
): string {
  const every = lang === 'zh' ? '所有可列出的命名空间资源' : 'every namespaced kind';
  const kinds = (list: string[] | undefined) => (list ?? []).map((it) => (it === '*' ? every : it)).join(', ');
  const words =
    lang === 'zh'
      ? {
          source: '源集群',
          target: '目标集群',
          cloud: '云上的负载均衡和云盘',
          databases: 'playbook 中各数据库两侧的服务器',
          none: '只看服务器的版本、发现接口和权限应答',
        }
      : {
          source: 'source',
          target: 'target',
          cloud: 'the cloud: load balancers and disks',
          databases: 'the servers of each database in the playbook',
          none: 'what both servers answer about themselves: version, served kinds, rights',
        };
  const parts = [
    kinds(reads.source) && `${words.source}: ${kinds(reads.source)}`,
    kinds(reads.target) && `${words.target}: ${kinds(reads.target)}`,
    reads.cloud && words.cloud,
    reads.databases && words.databases,
  ].filter(Boolean);
  return parts.join('; ') || words.none;
}

function explainedError(code: string, entry: Entry, lang: Flags['lang']): ExplainedEvent {
  const { means, why, fix } = entry[lang];
  return {
    type: 'explained',
    code,
    kind: 'error',
    lang,
    asks: means,
    outcome: exitText(entry.exit, lang),
    why,
    do: fix,
    sources: [],
  };
}
