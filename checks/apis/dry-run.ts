import { Unknown, type Check, type Finding } from '../../src/check.js';
import { words } from '../../src/dry-run.js';
import type { DryRun, DryRunAnswer } from '../../src/inventory.js';
import { some } from '../about.js';

/**
 * The best witness of what the target takes is the target: each object, as it would arrive, put to its API server with
 * `dryRun=All` and strict field validation. That passes schema, validation, admission, quotas and webhooks, and keeps nothing. It
 * needs the right to create.
 *
 * @source https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
 */
export const dryRun: Check = {
  id: 'dry-run',
  group: 'apis',
  asks: 'Does the target’s own API server take every object, without keeping it?',
  before: 'data',
  severity: 'refuse',
  severities: ['refuse', 'warn'],
  when: ['data'],
  reads: {},
  hint: {
    why: 'What the server refuses now it refuses in the restore too; fields that it does not know it drops without a word.',
    fix: 'Change the object on the source as the server’s message says. Where a right is missing, grant `create` on the target: a dry run keeps nothing. A webhook with side effects cannot be asked this way; test its objects by hand.',
  },
  zh: {
    asks: '以 dry-run 方式提交时，目标集群的 API Server 是否接受每个对象？',
    why: '现在被拒绝的对象，恢复时同样会被拒绝；服务器不认识的字段会被直接丢弃。',
    fix: '按服务器返回的信息在源集群修改对象。缺少权限时请在目标集群授予 create（dry-run 不会保留任何内容）。有副作用的 webhook 无法用这种方式验证，请手工测试相关对象。',
  },
  sources: [
    'https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run',
    'https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation',
    'https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#side-effects',
  ],

  look({ target }) {
    const asked = target.inventory.dryRun;
    if (!asked) throw new Unknown('the objects were not put to the server of the target');
    const findings = asked.answers.flatMap((it) => [...ofAnswer(it), ...ofWarnings(it)]);
    const open = asked.answers.filter((it) => it.answer === 'unknown' && !isSideEffects(it));
    if (open.length === 0) return findings;
    const why = whyOpen(open, asked);
    // What is refused must not hide behind what could not be asked, nor the other way round.
    if (findings.every((it) => it.severity === 'warn')) throw new Unknown(why);
    return [
      ...findings,
      { about: 'objects that could not be asked about', saw: why, want: 'an answer of the server for each' },
    ];
  },
};

/** A webhook that has answered so has been asked, and will be asked again when the object is made. */
const isSideEffects = ({ status }: DryRunAnswer) => status === 400;

function whyOpen(open: readonly DryRunAnswer[], { lacks }: DryRun): string {
  if (lacks.length > 0)
    return `target: it lacks the right to ${some(lacks.map(words))}; ${some(open.map((it) => it.about))} not asked about`;
  const [first] = open;
  return `${first?.about}: ${first?.why}${open.length > 1 ? `; and ${open.length - 1} more` : ''}`;
}

function ofAnswer(it: DryRunAnswer): Finding[] {
  const { about, answer, why = '', standIn } = it;
  const saw = `${why}${standIn === undefined ? '' : ` (asked in namespace ${standIn}, for its own is not there yet)`}`;
  if (answer === 'unknown' && isSideEffects(it)) {
    return [
      {
        about,
        severity: 'warn',
        saw,
        want: 'a webhook that can be asked',
        fix: 'Its webhook says that it has side effects. Create such an object by hand in a scratch namespace, or set `sideEffects: NoneOnDryRun` once that is true.',
      },
    ];
  }
  // What is not served at all is told by removed-apis and backup-versions, with what to do about it.
  if (answer !== 'refused' || it.status === 404) return [];
  return [{ about, severity: 'refuse', saw, breaks: 'the restore cannot make it' }];
}

function ofWarnings({ about, answer, warnings: all, standIn }: DryRunAnswer): Finding[] {
  const warnings = all.filter((it) => !OF_LABELS.test(it));
  if (answer !== 'taken' || warnings.length === 0) return [];
  const saw = `${warnings.join('; ')}${standIn === undefined ? '' : ` (asked in namespace ${standIn})`}`;
  return [
    warnings.some((it) => UNKNOWN_FIELD.test(it))
      ? { about, severity: 'warn', saw, breaks: 'what the server does not know it drops' }
      : {
          about,
          severity: 'warn',
          saw,
          breaks: 'nothing yet: the server takes it, and warns',
          fix: 'Nothing for the move. Then write it as the server says.',
        },
  ];
}

/** Told by removed-labels, with the successor. @source kubernetes/kubernetes:pkg/api/node/util.go (GetLabelDeprecatedMessage) */
const OF_LABELS = /nodeSelector\[[^\]]+\]: deprecated since v1\.\d+; use /;

/** @source kubernetes-sigs/json:internal/golang/encoding/json/kubernetes_patch.go (strict errors) */
const UNKNOWN_FIELD = /^(?:unknown|duplicate) field /;
