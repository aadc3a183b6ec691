import { count, spell } from '../../words.js';

/** The words of live views and of the last lines, in both languages. */
export type Lang = 'en' | 'zh';

export interface Tongue {
  source: string;
  target: string;
  asked: string;
  reachable: string;
  measured: string;
  /** before what clients themselves saw */
  clients: string;
  /** between figures */
  between: string;
  comma: string;
  members(n: number, weight: number): string;
  requests(sent: string, failed: string): string;
  gates: string;
  holding: string;
  held(elapsed: string, all: string, left: string): string;
  untilGates: string;
  next: string;
  back: string;
  percent(share: string): string;
  last: string;
  backTo(share: string): string;
  allTheWay: string;
  ctrlC: string;
  steps(done: number, all: number): string;
  more(n: number): string;
  undoing: string;
  state: Record<'none' | 'running' | 'stopped' | 'undoing' | 'moved' | 'completed', string>;
  unknownShare: string;
  onTarget: string;
  since(state: string, at: string): string;
  owed: string;
  waits: string;
  lock(owner: string, pid: number, host: string, age: string): string;
  resumed: string;
  stepCount(n: number): string;
  /** of the steps, what stops them, and the way back */
  footer(done: number, all: number, holds: boolean): string;
  heldOf(elapsed: string, all: string): string;
  broke: string;
  /** before the title of a step that ended so */
  ends: Record<'undone' | 'failed' | 'waiting', string>;
  served(of: { sent: string; failed: string; source: string; target: string; pause: string }): string;
  virtual(spelt: string): string;
  calls(reads: number, writes: number): string;
  seed(seed: number): string;
  sameWorld: string;
  duration: readonly [h: string, min: string, s: string];
  outcome: Record<'done' | 'refused' | 'stopped' | 'waiting' | 'interrupted' | 'failed', string>;
  labels: Record<'why' | 'do' | 'now' | 'requests' | 'share' | 'world' | 'saved' | 'next' | 'back', string>;
}

const en: Tongue = {
  source: 'source',
  target: 'target',
  asked: 'asked',
  reachable: 'reachable',
  measured: 'measured',
  clients: 'clients saw',
  between: ', ',
  comma: ', ',
  members: (n, weight) => `${count(n, 'member')}, weight ${weight}`,
  requests: (sent, failed) => `${sent} requests, ${failed} failed`,
  gates: 'gates',
  holding: 'holding',
  held: (elapsed, all, left) => `${elapsed} of ${all}, ${left} left`,
  untilGates: '; goes on as soon as every gate has passed',
  next: 'next',
  back: 'back',
  percent: (share) => `${share} %`,
  last: 'this is the last share',
  backTo: (share) => `a gate that breaks goes to ${share} % by itself`,
  allTheWay: 'migrate rollback goes all the way',
  ctrlC: 'Ctrl-C stops after this hold',
  steps: (done, all) => `${done} of ${count(all, 'step')} done`,
  more: (n) => `and ${n} more under way`,
  undoing: 'undo',
  state: {
    none: 'no run yet',
    running: 'running',
    stopped: 'stopped midway',
    undoing: 'a roll-back is not finished',
    moved: 'all steps are done; the source still stands by',
    completed: 'complete',
  },
  unknownShare: 'share unknown:',
  onTarget: 'on the target',
  since: (state, at) => `${state} since ${at}`,
  owed: 'owed',
  waits: 'waits',
  lock: (owner, pid, host, age) => `lock     ${owner}, process ${pid} on ${host}, last sign of life ${age} ago`,
  resumed: 'goes on, ',
  stepCount: (n) => count(n, 'step'),
  footer: (done, all, holds) =>
    `${done} of ${count(all, 'step')}; Ctrl-C stops ${holds ? 'after this hold' : 'at the next safe point'}; migrate rollback goes back`,
  heldOf: (elapsed, all) => `${elapsed} of ${all}`,
  broke: ' broke:',
  ends: { undone: 'undone: ', failed: 'failed: ', waiting: 'waits: ' },
  served: ({ sent, failed, source, target, pause }) =>
    `${sent} sent, ${failed} failed; ${source} served by the source, ${target} by the target; longest pause ${pause}`,
  virtual: (spelt) => `${spelt} on the twin's clock`,
  calls: (reads, writes) => `${count(reads, 'read')}, ${count(writes, 'write')}`,
  seed: (seed) => `seed ${seed}`,
  sameWorld: 'after going all the way back it equals the one at the start',
  duration: [' h', ' min', ' s'],
  outcome: {
    done: 'done',
    refused: 'refused',
    stopped: 'stopped midway',
    waiting: 'waiting',
    interrupted: 'interrupted at a safe point',
    failed: 'failed',
  },
  labels: {
    why: 'why',
    do: 'do',
    now: 'now',
    requests: 'requests',
    share: 'share',
    world: 'world',
    saved: 'saved',
    next: 'next',
    back: 'back',
  },
};

const zh: Tongue = {
  source: '源侧',
  target: '目标侧',
  asked: '要求',
  reachable: '可达',
  measured: '实测',
  clients: '客户端所见',
  between: '  ',
  comma: '，',
  members: (n, weight) => `${n} 个后端，权重 ${weight}`,
  requests: (sent, failed) => `${sent} 个请求，${failed} 个失败`,
  gates: '门禁',
  holding: '观察',
  held: (elapsed, all, left) => `已 ${elapsed}，共 ${all}，剩余 ${left}`,
  untilGates: '；全部门禁通过后立即继续',
  next: '下一步',
  back: '回退',
  percent: (share) => `${share} %`,
  last: '这是最后一档',
  backTo: (share) => `门禁失败时自动回到 ${share} %`,
  allTheWay: 'migrate rollback 全部回退',
  ctrlC: 'Ctrl-C 在本次观察后停止',
  steps: (done, all) => `已完成 ${done}/${all} 步`,
  more: (n) => `另有 ${n} 个正在进行`,
  undoing: '撤销',
  state: {
    none: '尚未执行',
    running: '执行中',
    stopped: '中途停止',
    undoing: '回退尚未完成',
    moved: '各步均已完成，源侧仍在待命',
    completed: '已收尾',
  },
  unknownShare: '比例未知：',
  onTarget: '在目标侧',
  since: (state, at) => `${state}，自 ${at}`,
  owed: '待补',
  waits: '等待',
  lock: (owner, pid, host, age) => `锁       ${owner}，${host} 上的进程 ${pid}，${age}前仍在运行`,
  resumed: '接着执行，',
  stepCount: (n) => `共 ${n} 步`,
  footer: (done, all, holds) =>
    `已完成 ${done}/${all} 步；Ctrl-C 在${holds ? '本次观察后' : '下一个安全点'}停止；migrate rollback 回退`,
  heldOf: (elapsed, all) => `已 ${elapsed}，共 ${all}`,
  broke: ' 未通过：',
  ends: { undone: '已撤销：', failed: '失败：', waiting: '等待：' },
  served: ({ sent, failed, source, target, pause }) =>
    `发出 ${sent} 个，失败 ${failed} 个；源侧处理 ${source} 个，目标侧 ${target} 个；最长中断 ${pause}`,
  virtual: (spelt) => `演练时钟 ${spelt}`,
  calls: (reads, writes) => `读 ${reads} 次，写 ${writes} 次`,
  seed: (seed) => `种子 ${seed}`,
  sameWorld: '全部回退之后，与开始时完全相同',
  duration: [' 小时', ' 分', ' 秒'],
  outcome: {
    done: '完成',
    refused: '已拒绝',
    stopped: '中途停止',
    waiting: '等待中',
    interrupted: '已在安全点中断',
    failed: '失败',
  },
  labels: {
    why: '原因',
    do: '处理',
    now: '现状',
    requests: '请求',
    share: '比例',
    world: '环境',
    saved: '已保存',
    next: '下一步',
    back: '回退',
  },
};

export const tongues: Record<Lang, Tongue> = { en, zh };

/** As `spell` of words.ts, in the units of the language; whole seconds. */
export function spelled(ms: number, { duration: [hour, minute, second] }: Tongue): string {
  const total = Math.max(0, Math.round(ms / 1000));
  const [h, min, s] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  return [h && `${h}${hour}`, min && `${min}${minute}`, (s || total === 0) && `${s}${second}`]
    .filter(Boolean)
    .join(' ');
}

/** As `spell`, parts of a second too, in the units of the language. */
export const spelt = (ms: number, { duration: [hour, minute, second] }: Tongue): string =>
  spell(ms).replaceAll(/ (h|min|s)\b/g, (_, unit) => (unit === 'h' ? hour : unit === 'min' ? minute : second));
