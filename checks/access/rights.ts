import { Unknown, type Check, type Finding } from '../../src/check.js';
import type { Right, RightAnswer, Side } from '../../src/ports.js';
import { SIDES } from '../../src/ports.js';
import { some } from '../about.js';

/**
 * A right that is missing shows at the first request that needs it, half way through the plan and perhaps on the way back.
 * The API server answers for each right beforehand, without doing anything.
 *
 * @source https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
 */
export const rights: Check = {
  id: 'rights',
  group: 'access',
  asks: 'May this identity do all that the plan needs, on both sides?',
  before: 'data',
  severity: 'refuse',
  reads: {},
  hint: {
    why: 'A step that is forbidden stops the run where it stands; one of the way back that is forbidden leaves it there.',
    fix: 'Add the rule that each finding names to a Role or ClusterRole of this identity; `kubectl auth can-i` asks the same question.',
  },
  zh: {
    asks: '当前身份在两个集群中是否具备计划所需的全部权限？',
    why: '缺少权限的步骤会让迁移停在半路；如果缺的是回滚所需的权限，就退不回去。',
    fix: '把检查结果中列出的规则加入该身份的 Role 或 ClusterRole；可用 kubectl auth can-i 自行验证。',
  },
  sources: ['https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access'],

  look({ needs, ...sight }) {
    const asked = SIDES.flatMap((side) =>
      needs[side].map((right) => ({ side, right, answer: answerTo(right, sight[side].inventory.rights) })),
    );
    const denied = asked.filter((it) => it.answer?.allowed === false);
    if (denied.length > 0) return denied.map(({ side, right }) => denial(side, right));
    const open = asked.filter((it) => !it.answer);
    if (open.length > 0)
      throw new Unknown(`not answered: ${some(open.map(({ side, right }) => `${side}: ${words(right)}`))}`);
    return [];
  },
};

const resourceOf = ({ resource, subresource }: Right) => (subresource ? `${resource}/${subresource}` : resource);

const words = (it: Right) =>
  `${it.verb} ${resourceOf(it)}${it.group ? `.${it.group}` : ''}${it.namespace ? ` in ${it.namespace}` : ''}`;

/** The answer for the whole cluster stands for each namespace when it is yes; a no there says nothing of a namespace. */
function answerTo(right: Right, answers: readonly RightAnswer[]): RightAnswer | undefined {
  const same = answers.filter(
    (it) =>
      it.verb === right.verb &&
      it.group === right.group &&
      it.resource === right.resource &&
      (it.subresource ?? '') === (right.subresource ?? ''),
  );
  return (
    same.find((it) => it.namespace === right.namespace) ?? same.find((it) => it.namespace === undefined && it.allowed)
  );
}

function denial(side: Side, right: Right): Finding {
  const rule = `{apiGroups: ["${right.group}"], resources: ["${resourceOf(right)}"], verbs: ["${right.verb}"]}`;
  const role = right.namespace ? `a Role in namespace ${right.namespace}` : 'a ClusterRole';
  return {
    about: `${side}: ${words(right)}`,
    saw: 'denied',
    want: 'allowed',
    fix: `Add to ${role} of this identity on the ${side}: ${rule}`,
  };
}
