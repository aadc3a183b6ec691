/** Every error that an operator can meet: what the shell is told, and the longer text for `migrate explain CODE`. */

export interface Entry {
  /** when nothing was changed; a 1 becomes 3 once something was */
  exit: 1 | 2 | 4 | 5 | 70;
  en: Text;
  zh: Text;
}

export interface Text {
  means: string;
  why: string;
  fix: string;
}

type Three = [means: string, why: string, fix: string];

const entry = (exit: Entry['exit'], [means, why, fix]: Three, [zhMeans, zhWhy, zhFix]: Three): Entry => ({
  exit,
  en: { means, why, fix },
  zh: { means: zhMeans, why: zhWhy, fix: zhFix },
});

const EXITS: Record<Entry['exit'], Record<'en' | 'zh', string>> = {
  1: {
    en: 'exit 1, nothing was changed; exit 3 when it happens midway, and the journal knows where',
    zh: '退出码 1：没有任何改动；若发生在执行途中则为 3，进度记录在 journal 中',
  },
  2: { en: 'exit 2, nothing was changed', zh: '退出码 2：没有任何改动' },
  4: { en: 'exit 4: it waits', zh: '退出码 4：等待中' },
  5: { en: 'exit 5: the world moved, or somebody else holds the lock', zh: '退出码 5：环境已变化，或锁被他人持有' },
  70: { en: 'exit 70: a fault of migrate itself', zh: '退出码 70：migrate 自身的缺陷' },
};

export const exitText = (exit: Entry['exit'], lang: 'en' | 'zh') => EXITS[exit][lang];

export const catalogue: Readonly<Record<string, Entry>> = {
  // ---- the command line, files

  USAGE: entry(
    2,
    [
      'The command line says something that the command does not have.',
      'An unknown command, flag or value is never guessed at: a mistyped --to must not move traffic.',
      'Read the suggestion; `migrate COMMAND --help` shows flags, defaults and examples.',
    ],
    [
      '命令行中有该命令不支持的内容。',
      '未知的命令、参数或取值绝不猜测：写错的 --to 不能改动流量。',
      '参考提示；migrate COMMAND --help 列出参数、默认值和示例。',
    ],
  ),
  NEEDS_YES: entry(
    4,
    [
      'The command would ask, and there is nobody to answer.',
      'Off a terminal nothing prompts, for a pipeline that hangs on a question is worse than one that ends.',
      'Add --yes, or MIGRATE_YES=1, once the plan was reviewed.',
    ],
    [
      '该命令需要确认，但没有终端可供应答。',
      '非终端环境下不会弹出提问，以免流水线卡住。',
      '审阅计划后加上 --yes，或设置 MIGRATE_YES=1。',
    ],
  ),
  PLAYBOOK_MISSING: entry(
    2,
    [
      'The playbook was not found.',
      'A path is taken as it is; a name stands for playbooks/NAME.yaml; without either it is migrate.yaml in this directory.',
      'Name it with --playbook, or write one with `migrate init`.',
    ],
    [
      '找不到 playbook。',
      '路径按原样使用；名称代表 playbooks/NAME.yaml；都没有则取当前目录的 migrate.yaml。',
      '用 --playbook 指定，或用 migrate init 生成。',
    ],
  ),
  PLAYBOOK_UNREADABLE: entry(
    2,
    [
      'The playbook is there and can not be read.',
      'It is a directory, or its permissions forbid it.',
      'Check path and permissions.',
    ],
    ['playbook 存在但无法读取。', '它是目录，或权限不足。', '检查路径和权限。'],
  ),
  PLAYBOOK_INVALID: entry(
    2,
    [
      'The playbook says something that the format does not have, or contradicts itself.',
      'Unknown keys are errors: a misspelt `hold` that was silently ignored would be a step without a hold. All complaints are listed at once, each with line and column.',
      'Mend what each line names. playbooks/shop.yaml is a complete example; playbooks/schema.json lets an editor check as you type.',
    ],
    [
      'playbook 中有格式不支持的内容，或前后矛盾。',
      '未知的键一律报错：被悄悄忽略的拼写错误会让某一步失去保护。所有问题一次列出，并标明行列。',
      '按每行提示修改；playbooks/shop.yaml 是完整示例，playbooks/schema.json 可供编辑器校验。',
    ],
  ),
  PLAN_INVALID: entry(
    2,
    [
      'The file is not a plan, or was changed after it was made.',
      'A plan carries a digest over all that it says; one that was edited is not what was reviewed.',
      'Change the playbook instead, and make a new plan: `migrate plan -o plan.json`.',
    ],
    [
      '该文件不是计划，或生成之后被修改过。',
      '计划带有全文摘要，被编辑过的计划不再是审阅过的那一份。',
      '请改 playbook 后重新生成：migrate plan -o plan.json。',
    ],
  ),
  INVENTORY_INVALID: entry(
    2,
    [
      'The file is not a captured inventory.',
      'It is no JSON, of another version, or lacks a side.',
      'Capture one: `migrate inventory -o inventory.json`.',
    ],
    [
      '该文件不是采集得到的 inventory。',
      '不是 JSON、版本不符，或缺少其中一侧。',
      '重新采集：migrate inventory -o inventory.json。',
    ],
  ),
  NOT_CAPTURED: entry(
    1,
    [
      'A captured inventory was asked for something that it does not hold.',
      'A file answers only what was asked when it was made, and it can not be written to.',
      'Capture it again with the playbook of today, or look at the live side.',
    ],
    [
      '采集的 inventory 中没有所需的内容。',
      '文件只能回答采集时查询过的内容，也无法写入。',
      '用当前的 playbook 重新采集，或直接查看在线集群。',
    ],
  ),
  REPORT_INVALID: entry(
    2,
    [
      'The file of --diff holds no report of a preflight.',
      'It must be what `preflight -o json` wrote: the event of type preflight in it is compared.',
      'Keep one by `migrate preflight -o json > last.json`.',
    ],
    [
      '--diff 指定的文件中没有 preflight 报告。',
      '应为 preflight -o json 的输出，其中的 preflight 事件用于比较。',
      '先执行 migrate preflight -o json > last.json 保存一份。',
    ],
  ),
  CHECK_INVALID: entry(
    2,
    [
      'A file of --checks is no check.',
      'Its default export must have id, group, asks, before, severity, reads, hint and look, and an id that no other check has.',
      'CONTRIBUTING.md shows one whole; playbooks/checks/replicas.mjs is an example.',
    ],
    [
      '--checks 目录中的文件不是有效的检查。',
      '默认导出必须包含 id、group、asks、before、severity、reads、hint 和 look，且 id 不得与已有检查重复。',
      '参考 CONTRIBUTING.md；示例见 playbooks/checks/replicas.mjs。',
    ],
  ),
  MANIFESTS_UNREADABLE: entry(
    2,
    [
      'The folder of --manifests can not be read.',
      'There is no such folder or file, or its permissions forbid it.',
      'Name a folder with plain YAML or JSON, or with what `kustomize build` or `helm template` wrote.',
    ],
    [
      '--manifests 指定的目录无法读取。',
      '目录或文件不存在，或权限不足。',
      '指定包含普通 YAML/JSON、或 kustomize build、helm template 输出的目录。',
    ],
  ),
  WORLD_INVALID: entry(
    2,
    [
      'The file does not describe a world that a twin could start from.',
      'Both sides need a version and objects, the cloud a region.',
      'playbooks/shop.world.yaml is a complete one; a captured inventory serves as well.',
    ],
    [
      '该文件无法作为孪生环境的初始状态。',
      '两侧都需要 version 和 objects，cloud 需要 region。',
      '参考 playbooks/shop.world.yaml；也可以使用采集到的 inventory。',
    ],
  ),
  WORLD_MISSING: entry(
    2,
    [
      'There is nothing to rehearse in.',
      'A rehearsal needs the two clusters as they are: PLAYBOOK.world.yaml beside the playbook, or an inventory.',
      '`migrate inventory -o inventory.json`, then `migrate rehearse --inventory inventory.json`.',
    ],
    [
      '没有可供演练的环境描述。',
      '演练需要两个集群的现状：playbook 旁的 PLAYBOOK.world.yaml，或采集的 inventory。',
      '先 migrate inventory -o inventory.json，再 migrate rehearse --inventory inventory.json。',
    ],
  ),
  FILE_EXISTS: entry(
    2,
    [
      'A file would be overwritten.',
      'It may hold what somebody wrote by hand.',
      'Write to another file, or add --force.',
    ],
    ['目标文件已存在。', '其中可能有手写内容。', '换一个文件名，或加 --force。'],
  ),
  KUBECONFIG_INVALID: entry(
    2,
    [
      'The kubeconfig can not be read, or its context leads nowhere.',
      'The file is missing or broken, or the context names a cluster or user that is not in it. Its text is never quoted, for it holds credentials.',
      '`kubectl config view` shows what kubectl reads; name another file with --kubeconfig.',
    ],
    [
      'kubeconfig 无法读取，或其中的 context 指向不存在的条目。',
      '文件缺失或损坏，或 context 引用的集群、用户不在其中。因含凭据，错误信息不会引用其内容。',
      '用 kubectl config view 查看；可用 --kubeconfig 指定其他文件。',
    ],
  ),
  CONTEXT_UNKNOWN: entry(
    2,
    [
      'The kubeconfig has no context of that name.',
      'Contexts are always named in the playbook; neither the current context nor a similar name is ever taken instead.',
      'Write one of the contexts that it has into the playbook.',
    ],
    [
      'kubeconfig 中没有该名称的 context。',
      'context 必须在 playbook 中写明，绝不使用当前 context 或相近名称代替。',
      '把已有的 context 名称写入 playbook。',
    ],
  ),

  // ---- plans

  PLAN_SAME_CLUSTER: entry(
    1,
    [
      'Source and target are one and the same cluster.',
      'Both contexts lead to a kube-system namespace with the same uid, which no two clusters share.',
      'Check both contexts in the kubeconfig.',
    ],
    [
      '源和目标是同一个集群。',
      '两个 context 的 kube-system 命名空间 uid 相同，而不同集群的 uid 不会相同。',
      '检查 kubeconfig 中的两个 context。',
    ],
  ),
  PLAN_NOT_SEEN: entry(
    1,
    [
      'The inventory lacks what a plan is made from.',
      'It was captured with a playbook without `cloud`, or an object could not be read.',
      'Capture it again with this playbook, by an identity that may read it.',
    ],
    [
      'inventory 缺少生成计划所需的信息。',
      '采集时 playbook 没有 cloud，或某些对象无法读取。',
      '用当前 playbook 和有读取权限的身份重新采集。',
    ],
  ),
  PLAN_SIDE_UNFIT: entry(
    1,
    [
      'An entry of `data.oneSide` can not change sides.',
      'It names a kind or an object that is not on the source, or a kind that the target does not serve.',
      'Correct its name, write the kind with its group (`issuer.cert-manager.io`), or bring its definition to the target first.',
    ],
    [
      '`data.oneSide` 的某个条目无法切换。',
      '所写的类型或对象在源集群不存在，或目标集群不提供该类型。',
      '更正名称，写上带组的类型（如 `issuer.cert-manager.io`），或先把定义带到目标集群。',
    ],
  ),
  PLAN_SERVICE_UNFIT: entry(
    1,
    [
      'The traffic of this Service can not be moved by weights as it is.',
      'Both clusters must be in one server group, user-made, of one load balancer in one region.',
      'The message says what does not fit; see `migrate explain shared-group`.',
    ],
    [
      '该 Service 目前无法按权重切流。',
      '两个集群必须在同一地域、同一负载均衡的同一个自建虚拟服务器组中。',
      '错误信息会指出不符合之处；另见 migrate explain shared-group。',
    ],
  ),
  PLAN_DISK_UNFIT: entry(
    1,
    [
      'A disk can not be brought.',
      'It is copied by the cloud from its own id, while nobody writes to it, and the new one must be sold in the zone where its pods run and attachable to a node there. So everybody who mounts it must be known and stoppable: a DaemonSet, a pod without an owner, pods of a controller that is not known, or a StatefulSet that deletes its claims when scaled down stop the plan.',
      'The message says what does not fit, and what the zone sells. Categories, zones and sizes: `data.disks`, docs/disks.md. Writers that can not be stopped: end them, or give the claim a `freeze`. Else bring its data by other means and set `data.disks: none`.',
    ],
    [
      '某块云盘无法迁移。',
      '云盘按自身 ID 由云端复制，复制期间不能有写入；新盘的类型须在 Pod 所在可用区有售，且该区节点可以挂载。因此所有挂载者都必须已知并且可以停止：DaemonSet、没有属主的 Pod、未知控制器的 Pod、缩容时会删除 PVC 的 StatefulSet 都会使计划失败。',
      '错误信息会指出不符合之处以及该可用区有售的类型。类型、可用区和容量见 data.disks（docs/disks.md）；无法停止的写入者：先结束它，或为该 PVC 配置 freeze；否则用其他方式迁移数据并设置 data.disks: none。',
    ],
  ),
  PLAN_SHARED_VOLUME_UNFIT: entry(
    1,
    [
      'A share can not be mounted by the target as the playbook has it.',
      'NAS, OSS and NFS volumes are not copied: the target mounts the same share, or the one that is named in its place. A mount target answers in its own VPC, an inner endpoint in its own region, and no plan holds keys.',
      'Name under `data.disks.shares` what the target mounts: `server` and `path`, or `bucket`, `url` and `secret`. The message says which.',
    ],
    [
      '按 playbook 的写法，目标集群无法挂载某个共享存储。',
      'NAS、OSS、NFS 卷不会被复制：目标集群挂载同一个共享存储，或挂载替代它的那一个。挂载点只在所属 VPC 可达，内网 Endpoint 只在所属地域可达；计划中也不保存密钥。',
      '在 data.disks.shares 中写明目标集群要挂载的 server 与 path，或 bucket、url 与 secret；错误信息会指出是哪一项。',
    ],
  ),
  PLAN_ZONE_UNCLEAR: entry(
    1,
    [
      'It is not clear in which zone new disks should lie.',
      "The target's nodes stand in several zones, a disk in one, and its pod can only run there.",
      'State it: `data.zone` in the playbook for all, `data.disks.zones` by the zone of the old disk, or `zone` in a rule of `data.disks` for single claims.',
    ],
    [
      '无法确定新云盘应放在哪个可用区。',
      '目标节点分布在多个可用区，而云盘只在一个可用区，Pod 也只能在该区运行。',
      '在 playbook 中写明：data.zone 对全部生效，data.disks.zones 按旧盘所在可用区，data.disks.rules 中的 zone 针对个别 PVC。',
    ],
  ),
  SHARE_UNREACHABLE: entry(
    1,
    [
      'The share that was asked for can not be reached.',
      'Weights are whole numbers from 0 to 100, and each controller divides them among its members with integers; few members make coarse shares.',
      'Ask for one of the nearest shares that are named, raise `traffic.tolerance`, or change the number of members.',
    ],
    [
      '无法达到要求的流量比例。',
      '权重是 0 到 100 的整数，控制器还要按整数分给各后端；后端越少，比例越粗。',
      '改用提示中最接近的比例、放宽 traffic.tolerance，或调整后端数量。',
    ],
  ),
  PLAN_STALE: entry(
    5,
    [
      'The world is not as it was when the plan was made, or another run is under way.',
      'What was reviewed is not what would be done: backends, versions, disks or the playbook changed since.',
      'Make and review a new plan. With steps already done: go on without a plan (`migrate run`), or undo first.',
    ],
    [
      '计划生成之后环境已变化，或另有一次执行尚未结束。',
      '将要执行的内容与审阅过的不同：后端、版本、云盘或 playbook 有变化。',
      '重新生成并审阅计划；若已有完成的步骤，用 migrate run 继续，或先回滚。',
    ],
  ),
  CLUSTER_CHANGED: entry(
    5,
    [
      'A context leads to another cluster than it did.',
      "The plan pins each cluster by the uid of its kube-system namespace; this one's differs. A context was renamed or swapped, or another kubeconfig is read.",
      'Check the kubeconfig. Nothing was written to the other cluster.',
    ],
    [
      'context 指向的集群与计划中的不同。',
      '计划用 kube-system 命名空间的 uid 固定每个集群；现在的 uid 不一致，可能是 context 改名、对调或读了别的 kubeconfig。',
      '检查 kubeconfig；没有对另一个集群做任何写入。',
    ],
  ),
  NOT_READY: entry(
    1,
    [
      'Preflight refuses.',
      'Something works in the source and would break in the target, or could not be seen. Unknown is never taken for fine.',
      '`migrate preflight` shows evidence and remedy; what is acceptable can be waived in the playbook, with owner and date.',
    ],
    [
      'preflight 未通过。',
      '有在源集群正常、到目标会出问题的地方，或无法看到的内容；未知绝不视为正常。',
      'migrate preflight 给出证据和处理办法；可接受的项目可在 playbook 中豁免，写明负责人和期限。',
    ],
  ),
  STEP_KIND_UNKNOWN: entry(
    1,
    [
      'The plan or journal has a kind of step that this version does not know.',
      'It was written by another version.',
      'Use that version, or make a new plan.',
    ],
    ['计划或 journal 中有当前版本不认识的步骤类型。', '它由其他版本写成。', '使用该版本，或重新生成计划。'],
  ),
  STEPS_BLOCKED: entry(
    1,
    [
      'Steps wait for others that are not done.',
      'They belong to a phase that was left out with --phase.',
      'Run the earlier phase first, or all of them.',
    ],
    ['有步骤在等待尚未完成的步骤。', '被等待的步骤属于 --phase 排除的阶段。', '先执行前面的阶段，或不加 --phase。'],
  ),
  STEP_NOT_DONE: entry(
    2,
    [
      'The journal has no such step to go back to.',
      'A roll-back can only stop at a step that was done.',
      '`migrate status` shows where the run stands; the message lists the steps.',
    ],
    [
      'journal 中没有这个可回退到的步骤。',
      '回滚只能停在已完成的步骤上。',
      'migrate status 显示当前位置，错误信息列出了各步骤。',
    ],
  ),
  ROLLBACK_UNFINISHED: entry(
    1,
    [
      'A roll-back stopped halfway.',
      'Going forward from a half undone step would mix two worlds.',
      'Finish it: `migrate rollback`.',
    ],
    ['上一次回滚没有完成。', '在撤销了一半的步骤上继续前进会把两种状态混在一起。', '先完成回滚：migrate rollback。'],
  ),
  NOT_COMPLETE: entry(
    1,
    [
      'The move is not far enough to be completed.',
      'Completing retires the source; that makes sense only once every step is done and the target serves everything.',
      'Finish with `migrate run`, let it soak, then complete.',
    ],
    [
      '迁移尚未进行到可以收尾的程度。',
      '收尾会下线源侧，只有全部步骤完成、目标承接全部流量后才有意义。',
      '先用 migrate run 完成并观察一段时间。',
    ],
  ),
  SOURCE_STILL_SERVES: entry(
    1,
    [
      'The source still gets traffic.',
      'Only a side that serves nothing can be retired.',
      '`migrate shift --to 100`, then complete.',
    ],
    ['源侧仍有流量。', '只有不再承接流量的一侧才能下线。', '先 migrate shift --to 100。'],
  ),

  // ---- state on disk

  LOCK_HELD: entry(
    5,
    [
      'Somebody else is working on this playbook.',
      'One writer at a time: two would each undo what the other does. The message names owner, process, machine and the last sign of life.',
      'Wait, or watch: `migrate status --watch`. If that process is surely gone and silent for a minute: the same command with --take-over OWNER.',
    ],
    [
      '有人正在操作这个 playbook。',
      '同一时间只允许一个写入者，否则会互相撤销。错误信息写明了持有者、进程、机器和最后心跳。',
      '等待，或用 migrate status --watch 观察；若确认该进程已消失且超过一分钟无心跳，加 --take-over OWNER 重试。',
    ],
  ),
  LOCK_LOST: entry(
    5,
    [
      'Another process took the lock over.',
      'This one was taken for dead, e.g. after the machine slept; it has stopped writing.',
      '`migrate status` shows who works on it now.',
    ],
    ['锁已被其他进程接管。', '本进程被视为已死（例如机器休眠后），已停止写入。', '用 migrate status 查看当前操作者。'],
  ),
  LOCK_BROKEN: entry(
    5,
    [
      'The lock file can not be read.',
      'It was changed by hand or damaged.',
      'Make sure that nobody runs this playbook, then delete the file that is named.',
    ],
    ['锁文件无法读取。', '被手工修改或已损坏。', '确认无人执行后，删除提示中的文件。'],
  ),
  JOURNAL_BROKEN: entry(
    1,
    [
      'The journal can not be read.',
      'A line before the last is damaged: something else changed the file, or the disk lost a part of it. A torn last line, as a power cut leaves it, is no damage.',
      'Put the file back from a copy. Do not delete it: it holds the way back.',
    ],
    [
      'journal 无法读取。',
      '除最后一行外有损坏的行：文件被改动，或磁盘丢失了一部分。断电造成的残缺末行不算损坏。',
      '用备份恢复该文件；不要删除，其中记录着回退所需的信息。',
    ],
  ),

  // ---- clusters

  KUBE_UNREACHABLE: entry(
    1,
    [
      'An API server does not answer, or is overloaded.',
      'Requests were repeated for a while. Network, proxy, firewall or the server itself.',
      'Check that `kubectl --context … version` answers, then run again: it goes on where it stopped.',
    ],
    [
      'API server 无响应或过载。',
      '已重试一段时间。可能是网络、代理、防火墙或服务器本身的问题。',
      '确认 kubectl --context … version 能返回后重新执行，会从中断处继续。',
    ],
  ),
  KUBE_UNAUTHORIZED: entry(
    1,
    [
      'The credentials of the context are not accepted.',
      'A token or certificate expired, or belongs to another cluster.',
      'Log in again as for kubectl, then run again.',
    ],
    ['context 的凭据不被接受。', 'token 或证书过期，或属于其他集群。', '像使用 kubectl 那样重新登录后再执行。'],
  ),
  KUBE_CREDENTIALS: entry(
    1,
    [
      'The credentials could not be had.',
      'A plugin that the kubeconfig names failed, or a file is missing.',
      'Run the same plugin by hand, or log in again.',
    ],
    ['无法取得凭据。', 'kubeconfig 指定的插件失败，或缺少文件。', '手工运行该插件，或重新登录。'],
  ),
  KUBE_FORBIDDEN: entry(
    1,
    [
      'The identity of the context lacks a right.',
      'The check `rights` asks for all that a plan needs beforehand; this one was not asked for, or was taken away since.',
      'Grant it to a Role or ClusterRole of this identity; `kubectl auth can-i` asks the same.',
    ],
    [
      'context 的身份缺少权限。',
      '检查项 rights 会提前询问计划所需的全部权限；这一项未被询问或事后被收回。',
      '在 Role 或 ClusterRole 中授予；可用 kubectl auth can-i 验证。',
    ],
  ),
  KUBE_EXPIRED: entry(
    1,
    [
      'A list took so long that the API server has forgotten its beginning.',
      'It keeps old states for about five minutes; the list was begun anew and took too long again.',
      'Run again, when the API server or the way to it is less busy.',
    ],
    [
      '列表读取时间过长，API Server 已不再保留其起始状态。',
      '旧状态只保留约五分钟；重新读取后仍然超时。',
      '等 API Server 或网络不那么繁忙时重试。',
    ],
  ),
  KUBE_NOT_FOUND: entry(
    1,
    [
      'An object or path is not there.',
      'It was deleted meanwhile, or the server does not serve it.',
      'Compare with the plan; make a new one if the world has changed.',
    ],
    ['对象或路径不存在。', '其间被删除，或服务器不提供。', '与计划比对；环境已变化则重新生成计划。'],
  ),
  KUBE_EXISTS: entry(
    1,
    [
      'An object of that name is there already.',
      'An earlier move or somebody else made it; ours are recognised by their marks.',
      'Look at it; delete it if nothing needs it, then run again.',
    ],
    ['同名对象已存在。', '由之前的迁移或他人创建；我们自己的对象有标记可辨认。', '检查该对象，确认无用后删除并重试。'],
  ),
  KUBE_CONFLICT: entry(
    1,
    [
      'Somebody else changed the object at the same moment.',
      'Repeated a few times without success: something writes it all the time.',
      'Find the other writer (GitOps, an operator), then run again.',
    ],
    ['对象同时被他人修改。', '重试多次仍失败：有程序在持续写入。', '找出另一个写入者（GitOps、Operator）后重试。'],
  ),
  KUBE_INVALID: entry(
    1,
    [
      'The API server refuses what was sent.',
      'An admission webhook or validation of the cluster does not accept the object.',
      'Read its message: it names the field or the webhook.',
    ],
    ['API server 拒绝了请求内容。', '准入 Webhook 或集群校验不接受该对象。', '查看其信息，其中写明了字段或 Webhook。'],
  ),
  KUBE_NOT_SERVED: entry(
    1,
    [
      'The API server has no such kind.',
      'A CRD or an aggregated API is missing there.',
      'Install what serves it (an operator, a CRD), then run again.',
    ],
    ['API server 没有该资源类型。', '缺少 CRD 或聚合 API。', '安装提供它的 Operator 或 CRD 后重试。'],
  ),
  KUBE_FAILED: entry(
    1,
    [
      'The API server failed.',
      'It answered with an error that is none of the usual ones.',
      "Look at the API server's log; run again.",
    ],
    ['API server 返回了异常错误。', '不属于常见错误。', '查看 API server 日志后重试。'],
  ),

  // ---- the cloud

  CLOUD_NOT_NAMED: entry(
    1,
    [
      'A step needs the cloud, and the playbook names none.',
      'Disks and load balancers are reached through it.',
      'Add `cloud: { provider: alibaba, region: … }`.',
    ],
    [
      '某步骤需要云 API，但 playbook 没有写 cloud。',
      '云盘和负载均衡通过它访问。',
      '添加 cloud: { provider: alibaba, region: … }。',
    ],
  ),
  CLOUD_ENDPOINT: entry(
    2,
    [
      'The cloud endpoint is plain http and not on this machine.',
      'Requests are signed, not encrypted: weights and ids would go over the network in the clear.',
      'Use https, or an emulator on 127.0.0.1.',
    ],
    ['云 API 地址是明文 http 且不在本机。', '请求只签名不加密。', '使用 https，或 127.0.0.1 上的模拟器。'],
  ),
  CLOUD_CREDENTIALS: entry(
    1,
    [
      'The cloud does not accept the credentials, or there are none.',
      'Looked for as the vendor does: environment, RRSA, profile of the aliyun CLI, credentials file, instance role.',
      'Set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or log in with the aliyun CLI.',
    ],
    [
      '云凭据无效或不存在。',
      '按官方凭据链查找：环境变量、RRSA、aliyun CLI 配置、凭据文件、实例角色。',
      '设置 ALIBABA_CLOUD_ACCESS_KEY_ID 和 ALIBABA_CLOUD_ACCESS_KEY_SECRET，或用 aliyun CLI 登录。',
    ],
  ),
  CLOUD_FORBIDDEN: entry(
    1,
    [
      'The RAM identity may not do that.',
      'An action is missing in its policy. Traffic needs slb:DescribeLoadBalancerAttribute, slb:DescribeLoadBalancerListeners, slb:DescribeVServerGroups, slb:DescribeVServerGroupAttribute, slb:SetVServerGroupAttribute and slb:RemoveVServerGroupBackendServers, and ecs:DescribeSecurityGroupAttribute for preflight; to take a load balancer over also slb:CreateVServerGroup, slb:AddVServerGroupBackendServers, slb:DeleteVServerGroup, slb:SetLoadBalancerTCPListenerAttribute (UDP, HTTP, HTTPS alike), slb:TagResources and slb:UntagResources; by a network load balancer nlb:GetLoadBalancerAttribute, nlb:ListListeners, nlb:ListServerGroups, nlb:ListServerGroupServers, nlb:UpdateServerGroupServersAttribute, nlb:RemoveServersFromServerGroup and nlb:GetJobStatus (on all resources), and to take one over nlb:UpdateServerGroupAttribute, nlb:UpdateListenerAttribute, nlb:TagResources and nlb:UntagResources; by DNS alidns:DescribeDomainRecords, alidns:AddDomainRecord, alidns:UpdateDomainRecord, alidns:DeleteDomainRecord, alidns:SetDomainRecordStatus, alidns:SetDNSSLBStatus and alidns:UpdateDNSSLBWeight; disks need ecs:DescribeDisks, ecs:DescribeSnapshots, ecs:CreateSnapshot, ecs:CopySnapshot, ecs:CreateDisk, ecs:DeleteSnapshot, ecs:DeleteDisk and ecs:AddTags.',
      'Grant the action that the message names, on the load balancer, or on disks and snapshots.',
    ],
    [
      'RAM 身份没有该操作的权限。',
      '策略中缺少动作。切流需要 slb:DescribeLoadBalancerAttribute、slb:DescribeLoadBalancerListeners、slb:DescribeVServerGroups、slb:DescribeVServerGroupAttribute、slb:SetVServerGroupAttribute、slb:RemoveVServerGroupBackendServers，预检还需要 ecs:DescribeSecurityGroupAttribute；接管由 CCM 创建的 CLB 还需要 slb:CreateVServerGroup、slb:AddVServerGroupBackendServers、slb:DeleteVServerGroup、slb:SetLoadBalancerTCPListenerAttribute（UDP、HTTP、HTTPS 同理）、slb:TagResources、slb:UntagResources；使用 NLB 时需要 nlb:GetLoadBalancerAttribute、nlb:ListListeners、nlb:ListServerGroups、nlb:ListServerGroupServers、nlb:UpdateServerGroupServersAttribute、nlb:RemoveServersFromServerGroup、nlb:GetJobStatus（资源为 *），接管由 CCM 创建的实例还需要 nlb:UpdateServerGroupAttribute、nlb:UpdateListenerAttribute、nlb:TagResources、nlb:UntagResources；按 DNS 切流需要 alidns:DescribeDomainRecords、alidns:AddDomainRecord、alidns:UpdateDomainRecord、alidns:DeleteDomainRecord、alidns:SetDomainRecordStatus、alidns:SetDNSSLBStatus、alidns:UpdateDNSSLBWeight；云盘需要 ecs:DescribeDisks、ecs:DescribeSnapshots、ecs:CreateSnapshot、ecs:CopySnapshot、ecs:CreateDisk、ecs:DeleteSnapshot、ecs:DeleteDisk、ecs:AddTags。',
      '在对应的负载均衡、云盘或快照上授予错误信息中的动作。',
    ],
  ),
  CLOUD_THROTTLED: entry(
    1,
    [
      'The cloud throttles this account.',
      'Calls were repeated with growing pauses for five minutes. Others may use the same quota.',
      'Run again later: it goes on where it stopped.',
    ],
    ['云 API 对该账号限流。', '已按递增间隔重试五分钟；配额可能被其他程序占用。', '稍后重新执行，会从中断处继续。'],
  ),
  CLOUD_BUSY: entry(
    1,
    [
      'The cloud is busy with the same thing.',
      'Another change of this load balancer, disk or snapshot is under way, and was waited for.',
      'Run again later: it goes on where it stopped.',
    ],
    ['云资源正忙。', '同一负载均衡、云盘或快照正在变更，已等待一段时间。', '稍后重新执行，会从中断处继续。'],
  ),
  CLOUD_OCCUPIED: entry(
    1,
    [
      'The cloud can not begin with that yet.',
      'Another snapshot or copy of the disk is under way (an automatic snapshot policy makes some too), or as many as the account may have at once. It was waited for.',
      'See in the console what is under way; run again when it is done.',
    ],
    [
      '云端暂时不能开始该操作。',
      '该云盘的另一个快照或复制正在进行（自动快照策略也会创建快照），或账号的并发数已满；已等待过。',
      '在控制台查看正在进行的任务，结束后重新执行。',
    ],
  ),
  CLOUD_REFUSED: entry(
    1,
    [
      'The cloud refuses the call.',
      "The vendor's code says why; quotas and wrong ids are the usual reasons.",
      "Look the code up in the vendor's error pages.",
    ],
    ['云 API 拒绝了调用。', '错误码说明了原因，常见的是配额或 ID 错误。', '在官方错误码页面查询该代码。'],
  ),
  CLOUD_JOB_FAILED: entry(
    1,
    [
      'A job of the load balancer failed, or is not done in time.',
      'A network load balancer takes a change as a job and carries it out afterwards. It could not, or another change of the same thing was in its way.',
      'Run again: what is there is read first. If it fails again, look at the operation in the console.',
    ],
    [
      '负载均衡的异步任务失败，或未按时完成。',
      'NLB 把变更作为异步任务执行；任务未能完成，或与同一资源上的其他变更冲突。',
      '重新执行：工具会先读取现状。若仍失败，请在控制台查看该操作。',
    ],
  ),
  CLOUD_UNREACHABLE: entry(
    1,
    [
      'The cloud does not answer.',
      'Network, proxy or firewall, or the service is down. A call whose reply was lost is sent again safely.',
      'Check the way to the endpoint, then run again.',
    ],
    ['云 API 无响应。', '网络、代理、防火墙或服务故障；丢失应答的调用可以安全重发。', '检查到 endpoint 的网络后重试。'],
  ),

  // ---- data

  VELERO_MISSING: entry(
    1,
    [
      'Velero, or its storage location, is not there.',
      'The playbook names namespace and location; both sides need the same ones.',
      'Install Velero on that side, or name them under `data.velero`.',
    ],
    [
      '没有找到 Velero 或其存储位置。',
      'playbook 中写明了命名空间和位置，两侧必须一致。',
      '在该侧安装 Velero，或在 data.velero 中写明。',
    ],
  ),
  STORAGE_READ_ONLY: entry(
    1,
    [
      "The source's storage location is ReadOnly.",
      'Velero makes no backup into such a location and deletes none from it; every Backup would end FailedValidation.',
      'Set accessMode to ReadWrite on the source for the move. The target only reads backups, but writes down its restores: its keys need both.',
    ],
    [
      '源端的存储位置为只读。',
      'Velero 不会向只读位置写入或删除备份，备份会以 FailedValidation 结束。',
      '迁移期间把源端的 accessMode 设为 ReadWrite。',
    ],
  ),
  STORE_CREDENTIALS: entry(
    1,
    [
      'There are no credentials for the object store of the backups.',
      'A backup that is written by us, and reasons that are read from results, need the bucket itself.',
      'Export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ALIBABA_CLOUD_ACCESS_KEY_ID and …_SECRET. They are written nowhere.',
    ],
    [
      '没有备份对象存储的凭据。',
      '自行写入备份、读取结果都需要访问 bucket。',
      '导出 AWS_ACCESS_KEY_ID 等环境变量；凭据不会写入任何文件。',
    ],
  ),
  STORE_REFUSED: entry(
    1,
    [
      'The object store refused a request.',
      'The keys have no right to the bucket, or bucket, region or path style of the storage location are not those of the store.',
      'Compare keys and location with the bucket; a bucket policy that lets Velero in may not let these keys in.',
    ],
    ['对象存储拒绝了请求。', '密钥无权限，或 bucket、地域、路径方式不符。', '核对密钥、存储位置和 bucket。'],
  ),
  STORE_UNREACHABLE: entry(
    1,
    [
      'The object store of the backups does not answer.',
      'It is down, or its address is one inside a VPC, which this machine does not reach.',
      'Run from where it is reachable, or name another address by MIGRATE_STORE_ENDPOINT; then run again.',
    ],
    ['对象存储无响应。', '服务不可用，或地址仅 VPC 内可达。', '在可达处运行，或设置 MIGRATE_STORE_ENDPOINT 后重试。'],
  ),
  NAME_TAKEN: entry(
    1,
    [
      'A backup of our name is there, and this plan did not make it.',
      'Velero knows a backup by its name alone: one hides the other, and the wrong one would be restored.',
      'Delete it if nobody needs it, or give the playbook another name and make a new plan.',
    ],
    [
      '已有同名备份，且不是本计划创建的。',
      'Velero 只按名称识别备份，会互相遮蔽。',
      '确认无用后删除，或更换 playbook 名称并重新生成计划。',
    ],
  ),
  BACKUP_INCOMPLETE: entry(
    1,
    [
      'The backup does not hold all that the source has.',
      "Velero's discovery is up to five minutes old: objects of a kind that came since are missing, and the backup still says Completed. Or the upload was cut.",
      'Wait five minutes, then run again; a backup that we write is written anew after a roll-back of its step.',
    ],
    [
      '备份内容不完整。',
      'Velero 的发现缓存最长 5 分钟，新资源类型可能缺失但仍显示 Completed；或上传中断。',
      '等待 5 分钟后重试。',
    ],
  ),
  CONVERSION_REFUSED: entry(
    1,
    [
      'The target does not take an object in the version into which it was rewritten.',
      'Each converted object is put to the server first, by a create that keeps nothing.',
      "Read the server's words; mend the object in the source, or name it under `data.leaveOut` and bring it by hand.",
    ],
    [
      '目标集群不接受转换后的对象。',
      '每个转换后的对象都先以 dry run 提交验证。',
      '按服务器提示修正，或列入 data.leaveOut 后手工处理。',
    ],
  ),
  DEFINITION_NOT_ESTABLISHED: entry(
    1,
    [
      'A CustomResourceDefinition was created and is not served.',
      'A name of it is taken by another definition, or its conversion webhook does not answer. Objects of its kind would be lost.',
      'See its conditions (kubectl describe crd), mend that, then run again.',
    ],
    [
      'CustomResourceDefinition 已创建但未生效。',
      '名称冲突，或转换 webhook 无响应。',
      '查看其 conditions，修复后重试。',
    ],
  ),
  WEBHOOK_NOT_UP: entry(
    1,
    [
      'What answers a webhook has no ready pod on the target.',
      'With the webhook configuration in place, the API server would refuse whatever it is asked about.',
      'See why its pods are not ready; or leave the configuration out by `data.leaveOut`.',
    ],
    [
      '目标集群中没有就绪的 webhook 后端。',
      '此时带入 webhook 配置会使 API server 拒绝相关对象。',
      '排查 Pod 未就绪的原因，或在 data.leaveOut 中排除。',
    ],
  ),
  PLAN_RULE_FAILS: entry(
    1,
    [
      'A rule that changes objects on the way would not apply to one of them.',
      'Velero counts such a rule as one error among others and creates the object unmodified: it could go live as it was.',
      'Mend `data.rules`: prefer mergePatches; a JSON patch needs its path in every object that it means.',
    ],
    [
      '某条修改规则无法应用。',
      'Velero 只记一条错误并原样创建对象，可能直接生效。',
      '修正 data.rules：优先使用 mergePatches。',
    ],
  ),
  PREVIEW_REFUSES: entry(
    1,
    [
      'The target refuses objects that would move.',
      'Each was put to it as it would arrive; the preview names the reason for each.',
      'Mend the reason, or name the object under `data.leaveOut`; `migrate plan --preview` shows them all.',
    ],
    [
      '目标集群拒绝部分对象。',
      '每个对象都按到达时的样子提交验证，预览列出原因。',
      '修复原因，或列入 data.leaveOut；用 migrate plan --preview 查看。',
    ],
  ),
  MANIFESTS_INVALID: entry(
    1,
    [
      'The manifests can not be read, or are not what the plan was made from.',
      'A file is no YAML, is a template that nobody has rendered, or has changed since the plan.',
      'Render them (`kustomize build`, `helm template`), and make a new plan after a change.',
    ],
    [
      '清单无法读取，或与生成计划时不一致。',
      '不是 YAML、模板未渲染，或计划之后被修改。',
      '先渲染（kustomize build、helm template），修改后重新生成计划。',
    ],
  ),
  STORAGE_UNAVAILABLE: entry(
    1,
    [
      "Velero's storage location is not available.",
      'Bucket, credentials or network of the object store.',
      "Read the location's message, mend it, run again.",
    ],
    ['Velero 的存储位置不可用。', '可能是 bucket、凭据或网络问题。', '查看该位置的 message，修复后重试。'],
  ),
  VELERO_FAILED: entry(
    1,
    [
      'A backup or restore ended with errors.',
      'It is judged by its phase and counts. PartiallyFailed is a failure: something is missing.',
      'Its results name each object and reason (`velero restore describe`); mend that, then run again.',
    ],
    [
      '备份或恢复带错误结束。',
      '以阶段和计数判断；PartiallyFailed 也是失败，说明有对象缺失。',
      '用 velero restore describe 查看每个对象的原因，修复后重试。',
    ],
  ),
  VELERO_KEEPS_FAILING: entry(
    1,
    [
      'The same backup or restore failed several times.',
      'The reason does not go away by itself.',
      'Read its results, mend the reason, roll back the step, run again.',
    ],
    ['同一备份或恢复多次失败。', '原因不会自行消失。', '查看结果并修复，回滚该步骤后重试。'],
  ),
  VELERO_TOO_SLOW: entry(
    1,
    [
      'A backup or restore takes longer than its deadline.',
      'Velero does not run, waits in a queue, or hangs.',
      'Look at its pod; raise `data.velero.deadline` if it is only big.',
    ],
    [
      '备份或恢复超过期限。',
      'Velero 未运行、在排队或卡住。',
      '查看其 Pod；若只是数据量大，调高 data.velero.deadline。',
    ],
  ),
  BACKUP_NOT_SYNCED: entry(
    1,
    [
      "The target's Velero does not see the backup.",
      'It learns of backups by looking into the object store every minute or so; both sides must use the same bucket and prefix.',
      'Compare the two BackupStorageLocations.',
    ],
    [
      '目标侧 Velero 看不到备份。',
      '它定期扫描对象存储；两侧必须使用同一 bucket 和前缀。',
      '比对两侧的 BackupStorageLocation。',
    ],
  ),
  BACKUP_NOT_DELETED: entry(
    1,
    [
      'The backup is still there after its deletion was asked for.',
      'Velero works on delete requests one after another, and not while it is busy.',
      'Look at the DeleteBackupRequest; go back again.',
    ],
    ['请求删除后备份仍然存在。', 'Velero 逐个处理删除请求，忙时不处理。', '查看 DeleteBackupRequest 后再次回滚。'],
  ),
  RESTORE_INCOMPLETE: entry(
    1,
    [
      'Objects of the source did not arrive.',
      'What came is compared with what was expected, per kind and name; a restore can say Completed and leave things out.',
      'Look at the list: excluded kinds, removed API versions, webhooks that refuse.',
    ],
    [
      '有源侧对象没有到达目标。',
      '按类型和名称比对预期与实际；恢复显示 Completed 也可能有遗漏。',
      '对照清单检查：被排除的类型、已移除的 API 版本、拒绝请求的 Webhook。',
    ],
  ),
  RESTORE_NOT_REMOVED: entry(
    1,
    [
      'What the restore brought is still there.',
      'A finalizer holds it back, or its controller does not run.',
      'Look at the finalizers of the objects that are named, then go back again.',
    ],
    ['恢复带来的对象仍未删除。', '被 finalizer 阻止，或其控制器未运行。', '查看相关对象的 finalizer 后再次回滚。'],
  ),
  RULES_NOT_THERE: entry(
    1,
    [
      'The rules by which everything arrives inert are not in place.',
      'Something else wrote a ConfigMap of that name. Without the rules the restore would bring things to life.',
      'Delete that ConfigMap, then run again.',
    ],
    [
      '保证对象静默到达的规则不在位。',
      '有其他程序写了同名 ConfigMap；没有这些规则，恢复会直接启动服务。',
      '删除该 ConfigMap 后重试。',
    ],
  ),
  NAMESPACE_ENDING: entry(
    1,
    [
      'A namespace on the target is being deleted.',
      'A restore into it would hang.',
      'Wait until it is gone, then run again.',
    ],
    ['目标侧命名空间正在删除。', '此时恢复会卡住。', '等其消失后重试。'],
  ),
  CLAIM_NOT_BOUND: entry(
    1,
    [
      'A claim did not bind to its volume.',
      'The volume was not made, names another claim, or has another class.',
      'Compare claim and volume with `kubectl describe pvc`.',
    ],
    ['PVC 没有绑定到卷。', '卷未创建、指向其他 PVC，或 StorageClass 不同。', '用 kubectl describe pvc 比对。'],
  ),
  OBJECT_EXISTS: entry(
    1,
    [
      'The target has an object of that name, not made by us.',
      'Writing over it would lose what it says.',
      'Look at it; delete it if nothing needs it, then run again.',
    ],
    ['目标侧已有同名对象，且不是我们创建的。', '覆盖会丢失其内容。', '确认无用后删除并重试。'],
  ),
  OBJECT_GONE: entry(
    1,
    ['An object of the plan is no longer in the source.', 'It was there when the plan was made.', 'Make a new plan.'],
    ['计划中的对象在源侧已不存在。', '生成计划时它还在。', '重新生成计划。'],
  ),
  WORKLOAD_MISSING: entry(
    1,
    [
      'A workload of the plan is not there.',
      'It was there when the plan was made, or did not arrive.',
      'Make a new plan, or bring it first.',
    ],
    ['计划中的工作负载不存在。', '生成计划时存在，或尚未到达。', '重新生成计划，或先迁移它。'],
  ),
  WORKLOAD_NOT_SETTLED: entry(
    1,
    [
      'Pods do not become ready, or do not end.',
      'Image, quota, volume or node; for an end: a finalizer or a long grace period.',
      '`kubectl describe pod` on that side, then run again.',
    ],
    [
      'Pod 未就绪或未结束。',
      '镜像、配额、卷或节点问题；结束缓慢则可能是 finalizer 或过长的宽限期。',
      '在该侧 kubectl describe pod 后重试。',
    ],
  ),
  CLAIM_STILL_MOUNTED: entry(
    1,
    [
      'A pod on the source still mounts a claim whose disk is about to be copied.',
      'What it writes after the snapshot would be missing on the target, so its end is waited for: a Job that runs, a debug pod, or one that was scaled up again meanwhile.',
      'End it, or wait and run again. Pause what scales it up: KEDA, GitOps, an operator. `data.jobsWithin` says how long Jobs are waited for.',
    ],
    [
      '源集群中仍有 Pod 挂载着即将复制的云盘。',
      '快照之后的写入不会出现在目标集群，因此会等待它结束：可能是正在运行的 Job、调试用 Pod，或期间又被扩容的工作负载。',
      '结束它，或稍后重新运行；并暂停把它扩容回来的组件（KEDA、GitOps、Operator）。等待 Job 的时长由 data.jobsWithin 指定。',
    ],
  ),
  VOLUME_STILL_ATTACHED: entry(
    1,
    [
      'A volume is still attached to a node.',
      'A snapshot of it could miss the last writes, so it is waited for.',
      'See which pod or node holds it: `kubectl get volumeattachment`.',
    ],
    ['卷仍挂载在节点上。', '此时快照可能漏掉最后的写入。', '用 kubectl get volumeattachment 查看占用者。'],
  ),
  SOURCE_STILL_WRITES: entry(
    1,
    [
      'Somebody on the source has a disk again that was copied already.',
      'What was written there since the last snapshot is not in the copy. Once the target writes to it too, there are two truths, and no way to make them one.',
      'If those writes count: `migrate rollback`, then begin anew. If they do not: stop who holds it on the source, pause what scaled it up (an autoscaler, GitOps, an operator), then run again.',
    ],
    [
      '源集群中又有人在使用已经复制过的云盘。',
      '最后一次快照之后的写入不在副本中；目标集群一旦也开始写入，两份数据就再也无法合并。',
      '如果这些写入需要保留：migrate rollback 后重新开始；不需要则在源集群停掉占用者，并暂停把它扩容回来的组件（弹性伸缩、GitOps、Operator），然后重新运行。',
    ],
  ),
  VOLUME_WRONG: entry(
    1,
    [
      'A volume on the target names another disk.',
      'Something else made or changed it. A disk must never be in use on two sides.',
      'Delete the wrong volume if nothing needs it, then run again.',
    ],
    [
      '目标侧的卷指向了另一块云盘。',
      '被其他程序创建或修改；同一云盘绝不能两侧同时使用。',
      '确认无用后删除错误的卷并重试。',
    ],
  ),
  IMPORT_WRONG: entry(
    1,
    [
      'A claim on the target would not get the copy that was made for it.',
      'With `data.disks.by: driver` the claim names an imported snapshot as its data source, and the driver makes the disk of that. Something else made or changed one of these objects.',
      'Roll back to before the restore, look who makes the claim (GitOps, an operator), then run again.',
    ],
    [
      '目标侧的某个 PVC 不会得到为它制作的副本。',
      '使用 data.disks.by: driver 时，PVC 以导入的快照为数据源，由驱动据此创建云盘；其中某个对象被其他程序创建或修改了。',
      '回退到恢复之前，查明是谁创建了该 PVC（GitOps、Operator），然后再次运行。',
    ],
  ),
  IMPORT_TOO_SLOW: entry(
    1,
    [
      'The target has not taken an imported snapshot, or made a disk of it, in time.',
      'The snapshot controller or the disks’ driver there does not run, or may not see the snapshot.',
      'Look at the events of claim and snapshot on the target (kubectl describe), then run again.',
    ],
    [
      '目标集群未能按时接受导入的快照，或未能据此创建云盘。',
      '目标集群的快照控制器或云盘驱动没有运行，或无权查看该快照。',
      '查看目标侧 PVC 与 VolumeSnapshot 的事件（kubectl describe），然后再次运行。',
    ],
  ),
  IMPORT_NOT_REMOVED: entry(
    1,
    [
      'On the way back a claim, its volume or its snapshot object on the target does not go.',
      'A pod still has it, or the controller that its finalizer waits for does not run.',
      'Look at its finalizers and events, end what holds it, then go back again.',
    ],
    [
      '回退时，目标侧的 PVC、卷或快照对象无法删除。',
      '仍有 Pod 在使用它，或其 finalizer 等待的控制器没有运行。',
      '查看其 finalizer 与事件，结束占用者，然后再次回退。',
    ],
  ),
  VOLUME_NOT_RETAINED: entry(
    1,
    [
      'A volume of the source is not kept when its claim goes.',
      'Something set its reclaim policy back, or deleted it: with the claim its data would go, and with that the way back; of a share the target works on it.',
      'Find what writes to the volume (GitOps, an operator), then run again.',
    ],
    [
      '源集群的某个卷没有保持 Retain。',
      '有其他程序改回了它的回收策略，或删除了它：PVC 一旦删除，数据随之丢失，也就无法回退；若是共享存储，目标集群正在使用它。',
      '找出修改该卷的程序（GitOps、Operator），然后再次运行。',
    ],
  ),
  VOLUME_NOT_DELETED: entry(
    1,
    [
      'A volume that we made is still there.',
      'A claim or a finalizer holds it.',
      'See what uses it, then go back again.',
    ],
    ['我们创建的卷仍未删除。', '被 PVC 或 finalizer 占用。', '查看占用者后再次回滚。'],
  ),
  DISK_MISSING: entry(
    1,
    [
      'A disk is not there.',
      'It was there when the plan was made, or the identity can not see it.',
      'Check region and rights; make a new plan.',
    ],
    ['云盘不存在。', '生成计划时存在，或当前身份无权查看。', '检查地域和权限，重新生成计划。'],
  ),
  DISK_WRONG: entry(
    1,
    [
      'A new disk is not as it was asked for.',
      'Zone, category, size or encryption differ from the plan.',
      'Roll the step back, then run again.',
    ],
    ['新云盘与要求不符。', '可用区、类型、大小或加密与计划不同。', '回滚该步骤后重试。'],
  ),
  DISK_TOO_SLOW: entry(
    1,
    [
      'A new disk is not available in time.',
      'The cloud still makes it.',
      'Run again: it goes on waiting for the same disk.',
    ],
    ['新云盘未能按时就绪。', '云端仍在创建。', '重新执行，会继续等待同一块云盘。'],
  ),
  DISK_NOT_DELETED: entry(
    1,
    [
      'A disk that we made could not be deleted.',
      'It is attached to an instance.',
      'Detach it (delete the pod that uses it), then go back again.',
    ],
    ['我们创建的云盘无法删除。', '它仍挂载在实例上。', '卸载（删除使用它的 Pod）后再次回滚。'],
  ),
  SNAPSHOT_FAILED: entry(
    1,
    [
      'A snapshot or its copy failed.',
      'The cloud gives no reason here; quota and keys are the usual ones.',
      'See the console, then run again: it is made anew, and the failed one deleted.',
    ],
    [
      '快照或其复制失败。',
      '云端未给出原因，常见的是配额和密钥。',
      '查看控制台后重新执行：会重新创建，并删除失败的那个。',
    ],
  ),
  SNAPSHOT_TOO_SLOW: entry(
    1,
    [
      'A snapshot or its copy got no further for hours.',
      'The cloud has not finished it.',
      'Run again: it goes on waiting for the same snapshot.',
    ],
    ['快照或其复制数小时没有进展。', '云端尚未完成。', '重新执行，会继续等待同一快照。'],
  ),
  COPY_GONE: entry(
    1,
    [
      'A snapshot or disk that we made is gone.',
      'Something deleted it after our step made it, or the cloud gave it up.',
      'Run again: what its own step still waits for is made anew. Of a step that is done: roll back to before it, then run again.',
    ],
    [
      '我们创建的快照或云盘已消失。',
      '被其他程序删除，或云端放弃了创建。',
      '重新执行：所属步骤未完成时会重新创建；步骤已完成时，先回滚到该步骤之前再重试。',
    ],
  ),
  COPY_NOT_UNIQUE: entry(
    1,
    [
      'Two snapshots or disks carry the same mark.',
      'There must be exactly one; which of them is right can not be told.',
      'Delete the wrong one, or its tag, then run again.',
    ],
    ['有两个快照或云盘带有相同标记。', '必须唯一，无法判断哪个正确。', '删除错误的一个或其标签后重试。'],
  ),
  SIDE_CHANGED: entry(
    1,
    [
      'What had changed sides was put back.',
      'Something (GitOps, an operator, an autoscaler) undoes what was written; it must not be awake on both sides.',
      'Change it at its source, or pause that too by an entry of `data.oneSide`; then run again.',
    ],
    [
      '已切换的对象被改回。',
      '有程序（GitOps、Operator、自动伸缩）在撤销修改；它不能在两侧同时工作。',
      '在源头修改，或用 `data.oneSide` 的条目一并暂停该程序，再重试。',
    ],
  ),
  SIDE_AWAKE: entry(
    1,
    [
      'What may be active on one side alone is awake on the target already.',
      'It is woken there after it rests on the source; until then two of it would work.',
      'Stop it on the target by hand, then run again: it is started there in its time.',
    ],
    [
      '只允许单侧运行的对象在目标集群上已处于运行状态。',
      '须等源集群上的停下后才在目标集群启动，否则两份会同时工作。',
      '先在目标集群手工停止它再重试；到时会自动启动。',
    ],
  ),
  SIDE_UNFIT: entry(
    1,
    [
      'A field of `data.oneSide` can not be set.',
      'A list or a plain value is in the way of its path; only fields of maps can be set and put back exactly.',
      'Name another field, or a program (`run`, `back`); then make a new plan.',
    ],
    [
      '`data.oneSide` 指定的字段无法设置。',
      '路径中间是列表或普通值；只有 map 的字段才能设置并精确恢复。',
      '改用其他字段，或用程序（`run`、`back`），再重新生成计划。',
    ],
  ),
  JOBS_STILL_RUN: entry(
    1,
    [
      'A Job still runs where it should have come to its end.',
      'Jobs are neither copied nor killed; what made it is not woken on the other side while it runs.',
      'Wait for it or delete it, then run again; or set `data.jobs: leave`, or a longer `data.jobsWithin`, and make a new plan.',
    ],
    [
      '应当结束的 Job 仍在运行。',
      'Job 既不复制也不终止；在它运行期间，不会在另一侧唤醒它的来源。',
      '等待或删除它后重试；或设置 `data.jobs: leave`、更长的 `data.jobsWithin` 并重新生成计划。',
    ],
  ),

  // ---- databases

  DB_PASSWORD_MISSING: entry(
    1,
    [
      'The password of a database is not where the playbook says.',
      'Playbooks name an environment variable or a key of a Secret, never the password. That place is empty.',
      'Set the variable in the shell or job that runs migrate, or make the Secret; then run again.',
    ],
    [
      '数据库密码不在 playbook 指定的位置。',
      'playbook 只写环境变量名或 Secret 的键，从不写密码本身；而该位置为空。',
      '在运行 migrate 的环境中设置变量，或创建 Secret，然后再执行。',
    ],
  ),
  DB_UNREACHABLE: entry(
    1,
    [
      'A database server does not answer.',
      'It is down, or the address, a firewall or TLS is in the way. Where a switch-over stands is asked of both servers, so without one of them nothing is done.',
      'Reach it from this machine by hand, then run again, or roll back: the state is read from the servers and goes on from there. What to do when one is lost for good: docs/databases.md.',
    ],
    [
      '数据库服务器没有应答。',
      '服务器已停止，或地址、防火墙、TLS 有问题。切换进行到哪一步要向两侧服务器询问，缺少任何一侧都不会继续。',
      '先在本机手工确认可达，再执行 run 或 rollback：状态从服务器读取并从那里继续。若一侧永久丢失，见 docs/databases.md。',
    ],
  ),
  DB_REFUSED: entry(
    1,
    [
      'A database server refuses what it is asked.',
      "The account lacks a right, or the server is not set up for it. The message is the server's own, without passwords.",
      'Give the account what docs/databases.md lists for its kind, then run again.',
    ],
    [
      '数据库服务器拒绝了请求。',
      '账号权限不足，或服务器未作相应配置。消息来自服务器本身，已去除密码。',
      '按 docs/databases.md 中该类数据库的要求授权，然后再执行。',
    ],
  ),
  DB_UNFIT: entry(
    1,
    [
      'The servers are not fit for a switch-over that loses nothing.',
      'Each point named could lose a write or let two servers take them: no binary log, an older version, accounts that write in spite of the fence, transactions on the replica that its source lacks.',
      'Mend each point on the servers, then run again. Nothing was changed.',
    ],
    [
      '这两台服务器还不具备无丢失切换的条件。',
      '所列每一项都可能丢失写入或造成双写：没有二进制日志、版本更旧、有账号能绕过只读、副本上有源端没有的事务等。',
      '逐项在服务器上修正后再执行；目前没有任何改动。',
    ],
  ),
  DB_CANNOT_BUILD: entry(
    1,
    [
      'The replica can not be copied by migrate.',
      'Its server has data already, has tables that can not be read as of one moment, or is of a kind that other tools copy better.',
      "Make the replica by the server's own means, write `replica: present`, then run again.",
    ],
    [
      '无法由 migrate 复制出副本。',
      '目标服务器已有数据、存在无法按同一时刻读取的表，或该类数据库更适合用其他工具复制。',
      '用数据库自带的方式建好副本，写上 replica: present，然后再执行。',
    ],
  ),
  DB_NOT_REPLICATING: entry(
    1,
    [
      'The replica does not copy from the side that serves.',
      'Replication is not set up, was stopped, or ended with an error. Writes go where they went before.',
      'Mend it on the replica (its own status names the error), then run again.',
    ],
    [
      '副本没有从提供服务的一侧复制。',
      '复制未配置、被停止，或因错误中断。写入仍去往原来的一侧。',
      '在副本上修复（其状态会给出错误原因），然后再执行。',
    ],
  ),
  DB_NOT_CAUGHT_UP: entry(
    1,
    [
      'The replica did not catch up in the time given.',
      'It is waited for while the old side serves, for a pause in writes must be short. It copies more slowly than writes come in, or not at all.',
      'Choose a quieter hour, a larger replica or a longer `catchUp:`; then run again. Nobody was kept from writing.',
    ],
    [
      '副本没有在规定时间内追上。',
      '等待期间旧的一侧照常服务，因为暂停写入必须很短。副本复制得比写入慢，或者没有在复制。',
      '选择业务低谷、加大副本规格或延长 catchUp，然后再执行；期间没有阻止任何写入。',
    ],
  ),
  DB_FENCE_BLOCKED: entry(
    1,
    [
      'The old side could not be made read-only in time.',
      'A running statement, a lock or a session that can not be ended stands in the way. It takes writes as before.',
      'See what runs there, wait for it or end it, then run again.',
    ],
    [
      '未能及时将旧的一侧设为只读。',
      '有正在执行的语句、锁或无法结束的会话。旧的一侧继续接受写入。',
      '查看并等待或结束它，然后再执行。',
    ],
  ),
  DB_SWITCH_TIMEOUT: entry(
    1,
    [
      'The replica did not hold the last write in the time that writes may pause.',
      'So the old side was opened again, and serves. Nothing is lost; clients saw refused writes for as long as `within:` says.',
      'See why copying stopped just then, then run again; or allow a longer pause by `within:`.',
    ],
    [
      '在允许的暂停时间内，副本没有得到最后一次写入。',
      '因此旧的一侧已重新开放并继续服务。没有丢失数据；客户端在 within 规定的时间内写入被拒绝。',
      '查明当时复制为何停顿后再执行，或用 within 允许更长的暂停。',
    ],
  ),
  DB_NO_WAY_BACK: entry(
    1,
    [
      'The old side can not copy from the new one, so the writes stay with the old side.',
      'The way back must run before the first new write. Most often the old server does not reach the new one, or may not log in there.',
      'Open the network from the old server to the new one and give the replication account its rights on both, then run again.',
    ],
    [
      '旧的一侧无法从新的一侧复制，因此写入仍留在旧的一侧。',
      '在第一条新写入之前，回退用的反向复制必须已经运行。最常见的原因是旧服务器无法访问新服务器或无法登录。',
      '打通旧服务器到新服务器的网络，并在两侧授予复制账号权限，然后再执行。',
    ],
  ),
  DB_NOT_SWITCHED: entry(
    1,
    [
      'Right after the switch-over the servers are not as it left them.',
      'Something else changes them: an operator of the cluster, another tool, a person.',
      'Find it and pause it for the time of the move, then run again.',
    ],
    [
      '切换刚结束，服务器的状态就与切换结果不符。',
      '有其他程序在修改它们：集群中的 Operator、其他工具或人工操作。',
      '找到并在迁移期间暂停它，然后再执行。',
    ],
  ),
  DB_TWO_WRITERS: entry(
    1,
    [
      'Both servers take writes. Act now.',
      'Somebody opened one, or it was restarted and came up without its fence. Which of the two is right can not be told from the servers, so neither is touched.',
      'Find out which one the clients use, make the other read-only by hand, and compare what each took meanwhile: docs/databases.md, "At 3 a.m.". Then run or roll back.',
    ],
    [
      '两台服务器都在接受写入，请立即处理。',
      '有人开放了其中一台，或它重启后没有恢复只读。仅凭服务器无法判断哪一台正确，因此都不会去动。',
      '确认客户端在用哪一台，手工将另一台设为只读，并比较期间各自的写入：见 docs/databases.md 的 “At 3 a.m.”。之后再 run 或 rollback。',
    ],
  ),
  DB_STATE_UNKNOWN: entry(
    1,
    [
      'The two servers are in no state that a switch-over has.',
      'What is done next is decided by what both say. This combination says that something else changed one of them.',
      'See who does, bring the servers to one of the states in docs/databases.md, then run again.',
    ],
    [
      '两台服务器的组合状态不属于切换过程中的任何一种。',
      '下一步由两侧的回答决定；这种组合说明有其他人或程序改动了其中一台。',
      '查明原因，将服务器恢复到 docs/databases.md 所列的某个状态，然后再执行。',
    ],
  ),
  DB_NOT_REPOINTED: entry(
    1,
    [
      'A Service does not lead to the database that takes the writes.',
      'It is not there, is of a type that can not lead there, or something (GitOps, an operator) put it back.',
      'Mend `repoint:` or pause what changes the Service, then run again.',
    ],
    [
      'Service 没有指向接受写入的数据库。',
      '它不存在、类型不适用，或被 GitOps、Operator 改了回去。',
      '修正 repoint，或暂停改动该 Service 的程序，然后再执行。',
    ],
  ),
  DB_LET_GO: entry(
    1,
    [
      'The old database server can not take the writes back any more.',
      '`migrate complete` ended its copying after the soak; since then what is written is on the target only.',
      'To move back, write a playbook with source and target exchanged: the old server becomes a new replica, and is switched over to.',
    ],
    [
      '旧的数据库服务器已无法再接管写入。',
      '观察期结束后 migrate complete 停止了反向复制；此后的写入只在目标侧。',
      '如需迁回，请写一份源与目标互换的 playbook：把旧服务器重新做成副本，再切换过去。',
    ],
  ),
  DB_HOOK_ANSWER: entry(
    1,
    [
      'The program of a database answered something else than it was asked.',
      'Its answers are JSON on standard output; `look` must say `writable` and `follows`.',
      'Mend the program: docs/databases.md lists each question and its answer.',
    ],
    [
      '数据库钩子程序的回答不符合要求。',
      '回答应为标准输出上的 JSON；look 必须给出 writable 和 follows。',
      '按 docs/databases.md 中的问答列表修正程序。',
    ],
  ),

  // ---- traffic

  SERVICE_MISSING: entry(
    1,
    [
      'A Service is not there.',
      'The share can only be moved between two Services of one name.',
      'Bring it first (the data phase does), or correct the playbook.',
    ],
    ['Service 不存在。', '只能在两侧同名的 Service 之间切流。', '先迁移它（data 阶段会做），或修正 playbook。'],
  ),
  LISTENER_SCHEDULER: entry(
    1,
    [
      'A listener does not heed weights, and can not simply be made to.',
      'Under rr, sch and tch every member gets the same, whatever its weight. rr can be changed to wrr without anybody noticing; sch and tch tie clients to members by a hash, and changing them sends returning clients elsewhere all at once.',
      'For rr write `scheduler: wrr` beside the service in the playbook. For sch and tch decide by hand, in a quiet hour, in the console.',
    ],
    [
      '监听不按权重调度，且不能随意修改。',
      '在 rr、sch、tch 下，无论权重多少，每个后端得到的流量相同。rr 改为 wrr 不会有人察觉；sch 和 tch 按哈希把客户端固定在后端上，修改会让老客户端同时换到别处。',
      'rr：在 playbook 的该服务旁写 `scheduler: wrr`。sch 和 tch：请在低峰期到控制台手动决定。',
    ],
  ),
  SOURCE_NEEDED: entry(
    1,
    [
      'Without its source this service can not be moved.',
      "With --source-down nobody in the source is asked or told anything: its members are weighed at the load balancer. Routers that work inside the source can do nothing then, and for a server group it must be known which members are the source's.",
      'Say in the playbook what could not be seen: `source: { clusterId: … }`, `loadBalancer` and `group` of the service. For routers in the source move the traffic where it comes in, e.g. at the DNS name.',
    ],
    [
      '没有源集群，无法迁移这个服务的流量。',
      '使用 --source-down 时不询问也不通知源集群的任何组件，只在负载均衡上修改其后端权重。在源集群内部工作的路由方式此时无能为力；对服务器组，则必须知道哪些后端属于源集群。',
      '在 playbook 中补充看不到的信息：`source: { clusterId: … }`，以及该服务的 `loadBalancer` 和 `group`。路由位于源集群内部时，请在入口处（例如 DNS）切走流量。',
    ],
  ),
  ROUTE_MISSING: entry(
    1,
    [
      'The object whose rules send the requests is not there: Ingress, HTTPRoute or VirtualService.',
      'Shares of these routers are moved in it. It was named wrongly, or somebody has deleted it.',
      'Correct its name in the playbook, or bring it back.',
    ],
    [
      '承载转发规则的对象不存在：Ingress、HTTPRoute 或 VirtualService。',
      '这类路由的比例写在其中；名称写错，或已被人删除。',
      '修正 playbook 中的名称，或恢复该对象。',
    ],
  ),
  ROUTE_UNFIT: entry(
    1,
    [
      'The object can not split these requests.',
      "It has no rule that sends to the Service alone, binds its clients, has a release of its own under way, or the source's proxies know no address at which the target answers.",
      'The message says which; mend that first, or choose another router.',
    ],
    [
      '该对象无法切分这些请求。',
      '没有只转发到该 Service 的规则、绑定了客户端、正在进行另一次发布，或源侧代理不知道目标侧的地址。',
      '按提示先处理，或改用其他路由。',
    ],
  ),
  ROUTE_TAKEN: entry(
    1,
    [
      'Another release holds the rule already.',
      'ingress-nginx takes one canary for a rule and ignores the rest.',
      'Finish that release first, and remove its canary.',
    ],
    [
      '该规则已被另一次发布占用。',
      'ingress-nginx 每条规则只认一个 canary，其余忽略。',
      '先结束那次发布并删除其 canary。',
    ],
  ),
  SERVICE_CLASS: entry(
    1,
    [
      'The Service on the target is for another kind of load balancer.',
      'spec.loadBalancerClass says which loop of the controller fills the group: alibabacloud.com/nlb for a network load balancer, none for a classic one. It is fixed for as long as the type is LoadBalancer.',
      'Make it a ClusterIP Service first, if nobody uses its address, or delete it.',
    ],
    [
      '目标集群上的 Service 属于另一类负载均衡。',
      'spec.loadBalancerClass 决定由 CCM 的哪个控制循环维护后端：NLB 为 alibabacloud.com/nlb，CLB 为空。type 为 LoadBalancer 期间该字段不可修改。',
      '若无人使用其地址，先把它改为 ClusterIP，或删除它。',
    ],
  ),
  SERVICE_HAS_ADDRESS: entry(
    1,
    [
      "The target's Service has an address of its own.",
      'The controller refuses to bind it to another load balancer, and that address may be in use.',
      'Make it a ClusterIP Service first, if nobody uses that address.',
    ],
    [
      '目标侧 Service 已有自己的地址。',
      '控制器拒绝把它绑定到另一个负载均衡，且该地址可能在用。',
      '若无人使用该地址，先改为 ClusterIP。',
    ],
  ),
  SERVICE_LIVE_ALREADY: entry(
    1,
    [
      "The target's Service is in the group and takes traffic.",
      'Joining at weight 0 would take that away unasked.',
      'Shift from where it is: `migrate shift`; or set its weight to "0" yourself.',
    ],
    [
      '目标侧 Service 已在服务器组中并承接流量。',
      '以权重 0 加入会擅自切走流量。',
      '用 migrate shift 从现状开始，或自行将权重设为 "0"。',
    ],
  ),
  GROUP_NOT_JOINED: entry(
    1,
    [
      'The members did not appear in the server group.',
      'No ready pod or node, a group of another load balancer, or a controller that does not run.',
      "Look at the Service's events: `kubectl describe service`.",
    ],
    [
      '后端没有出现在服务器组中。',
      '没有就绪的 Pod 或节点、组属于其他负载均衡，或控制器未运行。',
      '用 kubectl describe service 查看事件。',
    ],
  ),
  HANDOVER_UNSAFE: entry(
    1,
    [
      "A load balancer that the source's controller made can't be taken over.",
      "Somebody else uses it (another Service, a listener made by hand), a port of the Service is not served whole, or it is another Service's. Taking the controller's marks off would then leave somebody without an owner.",
      'Settle what is named. Or move by another router: `dns` (a new address, and clients that keep the old one for their TTL), a load balancer of your own with DNS to it, `mcs` or `fsm` (the source must live on).',
    ],
    [
      '无法接管由源集群控制器创建的负载均衡。',
      '它还被别人使用（其他 Service、手工监听），或 Service 的某个端口未完整提供服务，或它属于另一个 Service；此时去掉控制器标签会使某一方失去归属。',
      '先处理提示的问题；或改用其他路由方式：dns（地址会变，客户端在 TTL 内仍用旧地址）、自建负载均衡加 DNS、mcs 或 fsm（源集群必须继续运行）。',
    ],
  ),
  HANDOVER_NOT_TAKEN: entry(
    1,
    [
      "The source's controller has not given up its load balancer in time.",
      'It does not run, refuses (see its events), or something else writes the Service, the tags or the listener. The address serves all the while.',
      "Look at the Service's events on the source; then `migrate run` goes on, or `migrate rollback` gives it back.",
    ],
    [
      '源集群控制器未在期限内放弃其负载均衡。',
      '控制器未运行、拒绝（见事件），或有其他程序在写该 Service、标签或监听。期间该地址一直提供服务。',
      '查看源集群 Service 事件；随后用 migrate run 继续，或用 migrate rollback 归还。',
    ],
  ),
  HANDOVER_NOT_UNDONE: entry(
    1,
    [
      "The source's controller has not taken its load balancer back in time.",
      'It does not run, refuses, or something else writes the Service, the tags or the listener. The address serves all the while.',
      "Look at the Service's events on the source, then `migrate rollback` once more.",
    ],
    [
      '源集群控制器未在期限内收回其负载均衡。',
      '控制器未运行、拒绝，或有其他程序在写该 Service、标签或监听。期间该地址一直提供服务。',
      '查看源集群 Service 事件，再次执行 migrate rollback。',
    ],
  ),
  HANDOVER_STILL_SHARED: entry(
    1,
    [
      'Others than the source still serve behind the load balancer that is to be given back.',
      "Given back it belongs to the source's controller alone.",
      'Move the share back first: `migrate shift --to 0`, or roll everything back.',
    ],
    [
      '要归还的负载均衡后面仍有源集群以外的后端在服务。',
      '归还后它只属于源集群的控制器。',
      '先把流量切回：migrate shift --to 0，或整体回滚。',
    ],
  ),
  ROLLOUT_UNDER_WAY: entry(
    1,
    [
      'A Deployment behind the load balancer is being rolled out.',
      'While the load balancer changes hands its controller follows pods a moment late.',
      'Wait until the rollout is through (kubectl rollout status), then run again.',
    ],
    [
      '负载均衡后面的 Deployment 正在滚动更新。',
      '负载均衡易主的片刻里，控制器对 Pod 变化的跟随会稍有延迟。',
      '等滚动更新完成（kubectl rollout status）后重试。',
    ],
  ),
  ROLLOUTS_NOT_HELD: entry(
    1,
    [
      'A Deployment could not be paused, or not be released.',
      'Its controller has not seen it, or something else (a GitOps tool) writes `spec.paused`.',
      'Stop the other writer, then run again.',
    ],
    [
      'Deployment 未能暂停或恢复。',
      '其控制器尚未处理，或有其他程序（如 GitOps 工具）在写 spec.paused。',
      '停掉另一个写入者后重试。',
    ],
  ),
  BALANCER_GONE: entry(
    1,
    [
      'The load balancer does not exist any more.',
      'Somebody deleted it, or the Service that owned it. Its address is gone with it.',
      'Make a new plan; clients must learn another address.',
    ],
    [
      '负载均衡实例已不存在。',
      '它或拥有它的 Service 被删除了，地址也随之失去。',
      '重新制定计划；客户端需要改用新地址。',
    ],
  ),
  SERVICE_OWNS_ADDRESS: entry(
    1,
    [
      'A step would have deleted a Service that owns a live address, or taken its type away.',
      'The controller deletes the load balancer that it made together with its Service, and the address can not be had again.',
      'Take the load balancer over first (`handOver: true` in the playbook), or keep the Service.',
    ],
    [
      '某一步本会删除拥有在用地址的 Service，或改掉其类型。',
      '控制器会随 Service 一起删除它创建的负载均衡，地址无法找回。',
      '先接管该负载均衡（playbook 中写 handOver: true），或保留该 Service。',
    ],
  ),
  GROUP_NOT_LEFT: entry(
    1,
    [
      'Members are still in the server group.',
      'The controller has not acted; at weight 0 they take no traffic.',
      "Look at the Service's events, then run again.",
    ],
    ['后端仍在服务器组中。', '控制器尚未处理；权重为 0 时不承接流量。', '查看 Service 事件后重试。'],
  ),
  WEIGHT_NOT_TAKEN: entry(
    1,
    [
      'A weight did not reach the load balancer.',
      'The controller did not act (stopped, refused, a bad annotation, an invalid member makes it skip the whole group), or something else writes these weights too. Events and status fields prove nothing; the group is read.',
      "Look at the Service's events and the controller's log; find the other writer. Until then the share stays as it was.",
    ],
    [
      '权重没有到达负载均衡。',
      '控制器没有处理（停止、拒绝、注解错误，或有无效后端导致整组跳过），或有其他程序也在写权重。事件和状态不作数，以服务器组为准。',
      '查看 Service 事件和控制器日志，找出另一个写入者；在此之前比例保持不变。',
    ],
  ),
  SHARE_NOT_TAKEN: entry(
    1,
    [
      'The share at the load balancer is not the one asked for.',
      'Members came or went while the weights were written, or something else writes them too.',
      'Run again: the weights are worked out anew from the members that are there then.',
    ],
    [
      '负载均衡上的实际比例与要求不符。',
      '写权重期间后端有增减，或有其他程序也在写。',
      '重新执行，会按当时的后端重新计算权重。',
    ],
  ),
  SHARE_TAKEN_AWAY: entry(
    1,
    [
      'Something else moves the share away.',
      'Both annotations are right and the group is not: another writer than the two controllers.',
      'Find it (console, script, a third controller), stop it, run again.',
    ],
    [
      '比例被其他程序改走。',
      '两侧注解都正确而服务器组不对：有两个控制器之外的写入者。',
      '找出并停止它（控制台、脚本、第三个控制器）后重试。',
    ],
  ),
  CAPACITY_SHORT: entry(
    1,
    [
      'The side that grows has too few ready pods for the share.',
      'A share must be carried before it is given: as many ready pods as the other side has, times the share, with the headroom of gate `capacity`. Quotas, nodes and the maximum of an autoscaler that stand in the way are named.',
      "Scale its workload, wait until it is ready, run again; or let gate `capacity` raise the autoscaler's minimum: `prescale: true`.",
    ],
    [
      '流量增加的一侧就绪 Pod 不足以承接该比例。',
      '给流量之前必须先有承接能力：另一侧就绪数乘以比例，再加 capacity 门禁的余量。受限的配额、节点和 HPA 上限会一并列出。',
      '扩容该侧并等待就绪后重试；或让 capacity 门禁提高 HPA 下限：prescale: true。',
    ],
  ),
  SIDE_CANNOT_SERVE: entry(
    1,
    [
      'The side that would get traffic has nobody to serve it.',
      'Going back, too, never sends traffic to a side without ready pods.',
      'Bring its pods up, then go back again.',
    ],
    ['将要承接流量的一侧没有就绪的 Pod。', '回退时同样绝不把流量送到无法服务的一侧。', '先恢复其 Pod，再回退。'],
  ),
  DNS_RECORD_MISSING: entry(
    1,
    [
      'One of the two records that a share is moved between is not there.',
      'Somebody deleted it or gave it another value after the plan was made.',
      'Look at the records and the operation log in the console. Put the record back, paused, or roll back.',
    ],
    [
      '用于切流的两条解析记录缺少一条。',
      '计划生成之后，有人删除了它或修改了记录值。',
      '在控制台查看解析记录与操作日志；恢复该记录（暂停状态），或回退。',
    ],
  ),
  DNS_RECORDS_UNFIT: entry(
    1,
    [
      'The records of a name can not be weighed as they are.',
      'The target must come in with nothing. A locked record can not be paused; one that is paused keeps its weight and would come back with it; different weights that are not in force would shift traffic once weighting is on; and the API turns weighting on for addresses, not for CNAMEs.',
      'Set them right in the console: unlock, pause, or delete the record of the target, which is made anew. For CNAMEs turn weighting on there.',
    ],
    [
      '该域名的解析记录目前无法按权重切流。',
      '目标侧必须以零流量接入。被锁定的记录无法暂停；暂停的记录会保留权重，启用时按该权重生效；尚未生效的不同权重会在开启权重配置时改变流量；API 只能为地址记录开启权重，CNAME 不行。',
      '在控制台修正：解锁、暂停，或删除目标侧的记录（会重新创建）。CNAME 请在控制台开启权重配置。',
    ],
  ),
  DNS_JOIN_UNFINISHED: entry(
    1,
    [
      "The target's DNS record is not as the step left it.",
      'Something else changed the records meanwhile.',
      'Look at the records and the operation log in the console, then run again.',
    ],
    [
      '目标侧的解析记录与该步骤写入的不一致。',
      '期间有其他人或程序修改了记录。',
      '在控制台查看解析记录与操作日志，然后重新运行。',
    ],
  ),
  TARGET_ADDRESS_MISSING: entry(
    1,
    [
      'The Service of the target got no address that a DNS record could lead to.',
      'Its cloud controller manager has not made it a load balancer: it does not run, lacks rights or quota, or an annotation is wrong.',
      "Look at the Service's events on the target, or name the address in the playbook: `target: 198.51.100.7`.",
    ],
    [
      '目标侧的 Service 没有可供解析记录指向的地址。',
      '云控制器没有为它创建负载均衡：未运行、权限或配额不足，或注解有误。',
      '查看目标侧该 Service 的事件，或在 playbook 中写明地址：`target: 198.51.100.7`。',
    ],
  ),
  PROGRAM_FAILED: entry(
    1,
    [
      'The program of an `exec` router did not do what it was asked.',
      'It ended with another code than 0, was not there, or gave no answer in time. Whether a write was done is not known; every question can be asked again.',
      'Run it by hand with the same question (docs/exec-router.md). Code 75 means that it may be tried again.',
    ],
    [
      '`exec` 路由器的程序没有完成请求。',
      '它以非 0 状态退出、不存在，或超时未答复。写入是否生效未知；所有请求都可以重复。',
      '用同样的输入手工运行它（见 docs/exec-router.md）。退出码 75 表示可以重试。',
    ],
  ),
  PROGRAM_ANSWER: entry(
    1,
    [
      "The answer of an `exec` router's program can not be read.",
      'It is not the JSON that docs/exec-router.md describes. An answer that is not understood is never taken for a yes.',
      'Mend the program; what it wants to tell people belongs on standard error.',
    ],
    [
      '无法解析 `exec` 路由器程序的答复。',
      '它不是 docs/exec-router.md 所描述的 JSON。看不懂的答复绝不当作成功。',
      '修正程序；给人看的信息应写到标准错误。',
    ],
  ),
  FLEET_NOT_NAMED: entry(
    2,
    [
      'The router `mcs` needs the Fleet, and the playbook names none.',
      'MultiClusterServices live in the Fleet, not in the clusters.',
      'Add `fleet: { context: … }`: the context of the ACK One Fleet in your kubeconfig.',
    ],
    [
      '路由器 `mcs` 需要舰队（Fleet），而 playbook 没有写明。',
      'MultiClusterService 位于舰队中，而不在各集群里。',
      '添加 `fleet: { context: … }`：kubeconfig 中 ACK One 舰队的 context。',
    ],
  ),
  FLEET_SERVICE_MISSING: entry(
    1,
    [
      'The Fleet has lost a MultiClusterService.',
      "Somebody deleted it: the clusters no longer know of each other's pods.",
      'Find out who did. Run again from the step that makes it, or roll back.',
    ],
    [
      '舰队中的 MultiClusterService 不见了。',
      '有人删除了它：两个集群不再知道彼此的 Pod。',
      '查明是谁删除的，然后从创建它的步骤重新运行，或回退。',
    ],
  ),
  FLEET_NOT_DISPATCHED: entry(
    1,
    [
      "The Fleet did not bring one cluster's endpoints into the other, or did not take them away.",
      'The clusters are not both joined to it, are known by other ids, or the Fleet can not reach one of them.',
      "Look at the MultiClusterService's conditions in the Fleet and at the ids in the playbook, then run again.",
    ],
    [
      '舰队没有把一个集群的端点分发到另一个集群，或没有撤下。',
      '两个集群没有都加入舰队、集群 ID 不一致，或舰队无法访问其中之一。',
      '查看舰队中 MultiClusterService 的状态条件以及 playbook 中的集群 ID，然后重新运行。',
    ],
  ),
  SHARE_AUTOSCALED: entry(
    1,
    [
      'An autoscaler scales the pods whose number is the share.',
      'With a MultiClusterService the share is the ratio of ready pods: an autoscaler on either side would move it.',
      'Make minReplicas equal to maxReplicas for the time of the move, or take the autoscaler away and bring it back afterwards.',
    ],
    [
      '有弹性伸缩在改变决定流量比例的 Pod 数量。',
      '使用 MultiClusterService 时，流量比例就是就绪 Pod 数之比：任一侧的自动伸缩都会改变它。',
      '迁移期间令 minReplicas 等于 maxReplicas，或先移除该弹性伸缩，之后再恢复。',
    ],
  ),
  FSM_MISSING: entry(
    1,
    [
      "A cluster does not serve Flomesh's kinds.",
      'Neither multicluster.flomesh.io nor the older flomesh.io is there.',
      'Install Flomesh on both clusters and join them, or move the Service by another router.',
    ],
    [
      '某个集群没有 Flomesh 的资源类型。',
      'multicluster.flomesh.io 与旧的 flomesh.io 都不存在。',
      '在两个集群安装 Flomesh 并互联，或改用其他路由器。',
    ],
  ),
  FSM_NOT_IMPORTED: entry(
    1,
    [
      "The source's Flomesh does not know the target's Service.",
      "The clusters are not joined, or the export is not valid: its path is another Ingress's already, or there is no such Service.",
      "Look at the ServiceExport's conditions on the target and at the Clusters on the source, then run again.",
    ],
    [
      '源侧的 Flomesh 不知道目标侧的服务。',
      '集群没有互联，或导出无效：其路径已被其他 Ingress 占用，或该 Service 不存在。',
      '查看目标侧 ServiceExport 的状态条件和源侧的 Cluster 对象，然后重新运行。',
    ],
  ),
  GATE_FAILED: entry(
    1,
    [
      'A gate broke while a share was held.',
      'Too much failed for chance: by a sequential test over buckets of requests, or four looks in a row without data. The share goes back to the one before by itself, or stays where the playbook says `onFail: pause`.',
      'Find out which side fails; the evidence is in the event and in the journal. Then `migrate run` tries the step again; a share that stayed goes on with `migrate run --approve STEP` or back with `migrate rollback`.',
    ],
    [
      '保持比例期间门禁未通过。',
      '失败多到不能归于偶然（按请求分桶的序贯检验），或连续四次没有数据。比例自动回到上一档；若 playbook 写了 onFail: pause 则保持不动。',
      '先查明哪一侧失败，证据在事件和 journal 中。然后 migrate run 重试该步骤；保持不动的可用 migrate run --approve STEP 继续，或 migrate rollback 回退。',
    ],
  ),
  GATE_INCONCLUSIVE: entry(
    1,
    [
      'A gate could not decide before its time was up.',
      'Too few answers are no evidence, and silence is never success, so the share went back to the one before.',
      'Hold longer, ask more often (`every`), or allow more (`bad`); a webhook that never agreed says why in its last answer.',
    ],
    [
      '门禁在限定时间内无法判断。',
      '样本太少不算证据，没有数据不等于成功，因此比例已回到上一档。',
      '延长 hold、提高频率（every）或放宽 bad；一直不同意的 webhook 会在最后一次应答中说明原因。',
    ],
  ),
  GATE_WAITS: entry(
    4,
    [
      'A gate could not decide, and the playbook lets a person do it.',
      'The share stays as it is; nothing goes on or back by itself.',
      'Look at the evidence. `migrate run --approve STEP` goes on, `migrate run` watches once more, `migrate rollback` goes back.',
    ],
    [
      '门禁无法判断，playbook 指定由人决定。',
      '比例保持不变，不会自动前进或回退。',
      '查看证据后：migrate run --approve STEP 继续，migrate run 再观察一次，migrate rollback 回退。',
    ],
  ),
  GATE_UNREADY: entry(
    1,
    [
      'A gate can not watch the next share.',
      'Its query, its address or the rights to it are wrong, or the source, which serves, has no figures by it. Found out before the share was raised.',
      'Try the query in Prometheus itself; check address, variable of the token and labels.',
    ],
    [
      '门禁无法观察下一档比例。',
      '查询、地址或权限有误，或正在服务的源侧查不到数据；在提升比例之前就已发现。',
      '先在 Prometheus 中试一下该查询；检查地址、令牌变量和标签。',
    ],
  ),
  APPROVAL_NEEDED: entry(
    4,
    [
      'A step waits until somebody says that it may go on.',
      'The playbook asks for an approval before this share. Nothing of the step was begun; the last verified share serves.',
      '`migrate run --approve STEP` when it may; on a terminal you are asked. Who said yes, and when, is in the journal.',
    ],
    [
      '步骤等待批准。',
      'playbook 要求在给出该比例之前得到批准。该步骤尚未开始，上一档已验证的比例继续服务。',
      '可以继续时执行 migrate run --approve STEP；在终端上会直接询问。批准人和时间记录在 journal 中。',
    ],
  ),

  NO_RETURN: entry(
    4,
    [
      'A step that can not be taken back without loss waits for a yes of its own.',
      'From its start on the target writes to copied disks, and nothing brings that back to the old ones. `--yes` does not speak for it. Nothing of the step was begun.',
      '`migrate run --approve STEP` crosses it; on a terminal you are asked. Until then `migrate rollback` loses nothing.',
    ],
    [
      '该步骤一旦开始就无法无损回退，需要单独确认。',
      '目标侧一启动就会写入复制出来的磁盘，这些数据无法带回旧磁盘；--yes 不代表同意。该步骤尚未开始。',
      'migrate run --approve STEP 越过该点；在终端上会直接询问。在此之前 migrate rollback 不会丢失任何数据。',
    ],
  ),
  LOSS_NOT_ACCEPTED: entry(
    1,
    [
      'Going back would lose what the target has written.',
      'A point of no return was crossed: since then the target writes to its own copies of disks.',
      '`migrate rollback --accept-loss` when that may be lost; `migrate rollback --to STEP` goes back no further than that step.',
    ],
    [
      '回退会丢失目标侧已写入的数据。',
      '已越过不可回退点：此后目标侧写入自己的磁盘副本。',
      '确认可以丢失时执行 migrate rollback --accept-loss；migrate rollback --to STEP 只回退到该步骤为止。',
    ],
  ),

  // ---- us

  WORLD_DIFFERS: entry(
    70,
    [
      'After going all the way back the world is not as it was.',
      'A step did not undo all that it did. Only a rehearsal compares the whole world.',
      'Report it, with the playbook and its world.',
    ],
    [
      '全部回退后环境与开始时不同。',
      '某个步骤没有完全撤销；只有演练会比较整个环境。',
      '请附上 playbook 和环境描述报告问题。',
    ],
  ),
  BUG: entry(
    70,
    [
      'A fault of migrate itself.',
      'Something that must always hold did not. The journal was written ahead, so the way back is known.',
      'Report it with the output of the same command with -v; then `migrate doctor`.',
    ],
    [
      'migrate 自身的缺陷。',
      '某个必须成立的条件不成立。journal 先于改动写入，因此回退路径是已知的。',
      '附上同一命令加 -v 的输出报告问题，然后执行 migrate doctor。',
    ],
  ),
};
