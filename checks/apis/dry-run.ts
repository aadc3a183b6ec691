import { Skipped, Unknown, type Check, type Finding } from '../../src/check.js';

/**
 * The best witness of what the target takes is the target: each object, as it would arrive, put to its API server with
 * `dryRun=All` and strict field validation. That passes schema, admission, quotas and webhooks, and keeps nothing. It needs
 * the right to create, so it is done only when asked for.
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
    fix: 'Change the object on the source as the server’s message says; a webhook with side effects cannot be asked this way, and is no reason to refuse.',
  },
  zh: {
    asks: '以 dry-run 方式提交时，目标集群的 API Server 是否接受每个对象？',
    why: '现在被拒绝的对象，恢复时同样会被拒绝；服务器不认识的字段会被直接丢弃。',
    fix: '按服务器返回的信息在源集群修改对象；有副作用的 webhook 无法用 dry-run 验证，这种情况不代表对象有问题。',
  },
  sources: ['https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run', 'https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation'],

  look({ probes }) {
    const answers = probes?.filter((it) => it.ask === 'create' || it.ask === 'create-strictly');
    if (!answers || answers.length === 0) throw new Skipped('nobody has put the objects to the target’s server');
    const failed = answers.find((it) => it.answer === 'unknown');
    if (failed) throw new Unknown(`${failed.about}: ${failed.saw}`);
    return answers.filter((it) => it.answer === 'no').map(({ ask, about, saw }): Finding =>
      ask === 'create' ? { about, severity: 'refuse', saw, breaks: 'it cannot be created on the target' } : { about, severity: 'warn', saw, breaks: 'what the server does not know it drops' },
    );
  },
};
