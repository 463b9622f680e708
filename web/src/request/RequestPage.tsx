/// The request page: saved requests at the side, open ones as tabs, what is sent above what came back.
import { ActionIcon, Alert, Button, Group, Indicator, Menu, SegmentedControl, Splitter, Tabs, Text, Tooltip } from '@mantine/core';
import { type SplitterPaneSize, useHotkeys, useLocalStorage, useMediaQuery } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { IconCode, IconDeviceFloppy, IconFileImport, IconLayoutSidebar, IconPlus, IconX } from '@tabler/icons-react';
import { Suspense, lazy, useEffect, useMemo, useRef, useState } from 'react';
import './request.css';
import { useCommands } from '../app/commands';
import { asProblem } from '../client/problem';
import { CollectionTree } from '../collections/CollectionTree';
import { draftOf, edit, readSaved, updateSaved, useRefreshSaved } from '../collections/collections';
import { BodyEditor } from './BodyEditor';
import { Environments } from './Environments';
import { History } from './History';
import { RowTable } from './RowTable';
import { SocketPane } from './SocketPane';
import { TargetBar } from './TargetBar';
import { Unsendable, compose, isDoormans, isKeptByBrowser } from './compose';
import { parseCurl } from './curl';
import type { Draft } from './draft';
import { cancel, forget, send, useExchange } from './exchange';
import { ResponsePane } from './response/ResponsePane';
import { connect, dropSocket, useSocket } from './socket';
import { type Tab, addTab, changeTab, closeTab, isChanged, openTab, showTab, tabTitle, useTabs } from './tabs';
import { useEnvironments, valuesOf } from './variables';

const CodeModal = lazy(() => import('./CodeModal'));
const ImportModal = lazy(() => import('./ImportModal'));
const SaveModal = lazy(() => import('../collections/SaveModal'));

export default function RequestPage() {
  const { tabs, current } = useTabs();
  const tab = tabs.find(({ id }) => id === current) ?? tabs[0];
  const [sidebar, setSidebar] = useLocalStorage({ key: 'doorman.sidebar', defaultValue: true, getInitialValueInEffect: false });
  const [side, setSide] = useLocalStorage<'saved' | 'history'>({ key: 'doorman.side', defaultValue: 'saved', getInitialValueInEffect: false });
  const [importing, setImporting] = useState(false);
  const refresh = useRefreshSaved();

  function close(id: string) {
    forget(id);
    dropSocket(id);
    closeTab(id);
  }
  useCommands([
    { id: 'request.new', label: 'New request', group: 'Request', keys: 'Alt+N', run: addTab },
    { id: 'request.close', label: 'Close tab', group: 'Request', keys: 'Alt+W', run: () => close(current) },
    { id: 'request.import', label: 'Import curl, Postman, Bruno or OpenAPI', group: 'Request', run: () => setImporting(true) },
    { id: 'request.history', label: 'Show what I sent lately', group: 'Request', keywords: ['history'], run: () => { setSidebar(true); setSide('history'); } },
    { id: 'request.sidebar', label: sidebar ? 'Hide saved requests' : 'Show saved requests', group: 'Request', run: () => setSidebar(!sidebar) },
  ]);
  useHotkeys(
    [
      ['alt+N', addTab],
      ['alt+W', () => close(current)],
    ],
    [],
  );
  if (tab === undefined) {
    return null;
  }
  return (
    <div className="request-page" data-sidebar={sidebar}>
      {sidebar && (
        <aside className="sidebar" aria-label="Saved requests">
          <SegmentedControl
            size="xs"
            fullWidth
            mb={6}
            aria-label="At the side"
            data={[{ value: 'saved', label: 'Saved' }, { value: 'history', label: 'History' }]}
            value={side}
            onChange={(value) => setSide(value as typeof side)}
          />
          {side === 'history' ? (
            <History />
          ) : (
            <CollectionTree
              current={tab.saved?.id ?? null}
              onImport={() => setImporting(true)}
              onOpen={(saved) => openTab(draftOf(saved), { id: saved.id, name: saved.name, draft: draftOf(saved) })}
            />
          )}
        </aside>
      )}
      <div className="workspace">
        <Group gap={4} wrap="nowrap" className="tab-strip">
          <Tooltip label={sidebar ? 'Hide saved requests and history' : 'Show saved requests and history'}>
            <ActionIcon variant="subtle" color="gray" onClick={() => setSidebar(!sidebar)} aria-label="Saved requests" aria-pressed={sidebar}>
              <IconLayoutSidebar size={16} />
            </ActionIcon>
          </Tooltip>
          <Tabs
            value={tab.id}
            onChange={(id) => id !== null && showTab(id)}
            miw={0}
            variant="outline"
            className="open-tabs"
            keepMounted={false}
          >
            <Tabs.List aria-label="Open requests">
              {tabs.map((open) => (
                <Tabs.Tab
                  key={open.id}
                  value={open.id}
                  onAuxClick={(event) => event.button === 1 && close(open.id)}
                  onKeyDown={(event) => event.key === 'Delete' && close(open.id)}
                  title={`${tabTitle(open)} (Delete, Alt+W or a middle click closes it)`}
                  // For the mouse; the keyboard has Delete and Alt+W, and a tab may hold no button.
                  rightSection={
                    <span
                      className="tab-close"
                      onClick={(event) => {
                        event.stopPropagation();
                        close(open.id);
                      }}
                    >
                      <IconX size={13} aria-hidden />
                    </span>
                  }
                >
                  <Indicator disabled={!isChanged(open)} size={7} offset={-3} position="middle-end" color="orange.7">
                    <span className="tab-title">{tabTitle(open)}</span>
                  </Indicator>
                  {isChanged(open) && <span className="visually-hidden"> (changed)</span>}
                </Tabs.Tab>
              ))}
            </Tabs.List>
          </Tabs>
          <Tooltip label="New request (Alt+N)">
            <ActionIcon variant="subtle" color="gray" onClick={addTab} aria-label="New request">
              <IconPlus size={16} />
            </ActionIcon>
          </Tooltip>
          <Group gap={4} wrap="nowrap" ml="auto" flex="none">
            <Button size="compact-sm" variant="subtle" color="gray" leftSection={<IconFileImport size={15} aria-hidden />} onClick={() => setImporting(true)}>
              Import
            </Button>
            <Environments />
          </Group>
        </Group>
        <Editor key={tab.id} tab={tab} />
      </div>
      {importing && (
        <Suspense>
          <ImportModal
            onClose={() => {
              setImporting(false);
              void refresh();
            }}
          />
        </Suspense>
      )}
    </div>
  );
}

/// One open request and its answer.
function Editor({ tab }: { tab: Tab }) {
  const { draft } = tab;
  const exchange = useExchange(tab.id);
  const socket = useSocket(tab.id);
  const environments = useEnvironments();
  const values = useMemo(() => valuesOf(environments), [environments]);
  const refresh = useRefreshSaved();
  const [unsendable, setUnsendable] = useState<string | null>(null);
  const [showing, setShowing] = useState<'code' | 'save' | null>(null);
  const [part, setPart] = useState<string | null>('params');
  const reason = useRef<HTMLInputElement>(null);
  // Side by side where there is room for both.
  const isWide = useMediaQuery('(min-width: 1700px)', false, { getInitialValueInEffect: false });
  const [sizes, setSizes] = useLocalStorage<SplitterPaneSize[]>({ key: isWide ? 'doorman.split.wide' : 'doorman.split', defaultValue: isWide ? ['50%', '50%'] : ['42%', '58%'], getInitialValueInEffect: false });

  const isSocket = draft.headers.some(({ name, value, on }) => on && name.toLowerCase() === 'upgrade' && value.toLowerCase() === 'websocket') || /\/ws\/?$/.test(draft.path);
  const isLive = socket !== undefined && socket.state !== 'closed';
  const sending = isSocket ? isLive : exchange?.state === 'sending' || exchange?.state === 'receiving';
  const change = (part: Partial<Draft>) => changeTab(tab.id, ({ draft }) => ({ draft: { ...draft, ...part } }));

  function go() {
    try {
      const composed = compose(draft, values);
      setUnsendable(null);
      if (isSocket) {
        const protocols = composed.headers.find(([name]) => name.toLowerCase() === 'sec-websocket-protocol')?.[1] ?? '';
        void connect(tab.id, composed.url, protocols.split(',').map((name) => name.trim()).filter((name) => name !== '')).catch((error: unknown) =>
          setUnsendable(asProblem(error).detail),
        );
      } else {
        void send(tab.id, composed, draft.instance === 'all');
      }
    } catch (error) {
      if (!(error instanceof Unsendable)) {
        throw error;
      }
      setUnsendable(error.message);
    }
  }
  function stop() {
    cancel(tab.id);
    socket?.close();
  }
  function paste(command: string) {
    const pasted = parseCurl(command);
    if (pasted === null) {
      setUnsendable('This is no curl command with an address.');
      return;
    }
    const { region, service, ...rest } = pasted.draft;
    change({ ...rest, region: region || draft.region, service: service || draft.service });
    setPart(pasted.draft.body.kind !== 'none' ? 'body' : pasted.draft.headers.length > 0 ? 'headers' : 'params');
    for (const note of pasted.notes) {
      notifications.show({ message: note, autoClose: 8000 });
    }
  }
  async function save() {
    if (tab.saved === null) {
      setShowing('save');
      return;
    }
    try {
      const there = await readSaved(tab.saved.id);
      const saved = await updateSaved(there.id, there.version, edit(there.name, there.folder, there.shared_with, draft));
      changeTab(tab.id, () => ({ saved: { id: saved.id, name: saved.name, draft: draftOf(saved) } }));
      notifications.show({ message: `Saved “${saved.name}”.` });
      await refresh();
    } catch (error) {
      const problem = asProblem(error);
      notifications.show({ color: 'red', title: problem.detail, message: problem.hint });
      if (problem.code === 'not_found') {
        changeTab(tab.id, () => ({ saved: null }));
      }
    }
  }
  useHotkeys(
    [
      ['mod+Enter', () => (sending ? undefined : go())],
      ['mod+S', () => void save()],
      ['Escape', () => (sending ? stop() : undefined)],
    ],
    [],
  );
  useCommands([
    { id: 'request.send', label: 'Send request', group: 'Request', keys: 'Ctrl+Enter', run: go },
    { id: 'request.save', label: 'Save request', group: 'Request', keys: 'Ctrl+S', run: () => void save() },
    { id: 'request.code', label: 'Copy as code', group: 'Request', keywords: ['curl', 'python', 'go', 'java'], run: () => setShowing('code') },
  ]);
  const wantsReason = exchange?.answer?.problem?.code === 'reason_required';
  useEffect(() => {
    if (wantsReason) {
      reason.current?.focus();
    }
  }, [wantsReason]);

  const live = (rows: { name: string; on: boolean }[]) => rows.filter(({ name, on }) => on && name !== '').length;
  return (
    <>
    <Splitter
      key={isWide ? 'wide' : 'narrow'}
      orientation={isWide ? 'horizontal' : 'vertical'}
      sizes={sizes}
      onSizeChange={setSizes}
      step="2%"
      lineSize={1}
      handleColor="var(--mantine-color-default-border)"
      className="editor"
    >
      <Splitter.Pane defaultSize={sizes[0] ?? '42%'} min="20%" className="request-pane" role="region" aria-label="Request">
        <TargetBar draft={draft} values={values} onChange={change} onSend={go} onCancel={stop} onCurl={paste} sending={sending} isSocket={isSocket} wantsReason={wantsReason} reason={reason} />
        {unsendable !== null && (
          <Alert color="yellow" mt="xs" p="xs" role="alert" withCloseButton onClose={() => setUnsendable(null)} closeButtonLabel="Close">
            {unsendable}
          </Alert>
        )}
        <Tabs value={part} onChange={setPart} keepMounted={false} mt={6}>
          <div className="parts-bar">
          <Tabs.List aria-label="Parts of the request" flex={1}>
            <Tabs.Tab value="params">Query{count(live(draft.query))}</Tabs.Tab>
            <Tabs.Tab value="headers">Headers{count(live(draft.headers))}</Tabs.Tab>
            <Tabs.Tab value="body">Body{draft.body.kind === 'none' ? '' : ` (${draft.body.kind})`}</Tabs.Tab>
          </Tabs.List>
            <Group gap={4} wrap="nowrap">
              <Button size="compact-sm" variant="subtle" color="gray" leftSection={<IconCode size={15} aria-hidden />} onClick={() => setShowing('code')}>
                Code
              </Button>
              <Menu position="bottom-end">
                <Menu.Target>
                  <Button size="compact-sm" variant="subtle" color="gray" leftSection={<IconDeviceFloppy size={15} aria-hidden />}>
                    Save
                  </Button>
                </Menu.Target>
                <Menu.Dropdown>
                  <Menu.Item onClick={() => void save()} rightSection={<Text size="xs">Ctrl+S</Text>}>
                    {tab.saved === null ? 'Save…' : `Save “${tab.saved.name}”`}
                  </Menu.Item>
                  {tab.saved !== null && <Menu.Item onClick={() => setShowing('save')}>Save as new…</Menu.Item>}
                </Menu.Dropdown>
              </Menu>
            </Group>
          </div>
          <Tabs.Panel value="params" pt="xs">
            <RowTable what="parameter" rows={draft.query} onChange={(query) => change({ query })} />
          </Tabs.Panel>
          <Tabs.Panel value="headers" pt="xs">
            <RowTable
              what="header"
              rows={draft.headers}
              onChange={(headers) => change({ headers })}
              warn={({ name }) =>
                isKeptByBrowser(name) ? 'Browsers do not let pages send this one. Use the code as curl.' : isDoormans(name) ? 'Doorman reads this one itself; the service does not get it.' : null
              }
            />
          </Tabs.Panel>
          <Tabs.Panel value="body" pt="xs">
            <BodyEditor body={draft.body} onChange={(body) => change({ body })} onSend={go} />
          </Tabs.Panel>
        </Tabs>
      </Splitter.Pane>
      <Splitter.Pane defaultSize={sizes[1] ?? '58%'} min="20%" className="response-pane" role="region" aria-label="Response">
        {isSocket ? <SocketPane tab={tab.id} /> : <ResponsePane tab={tab.id} name={tabTitle(tab).replace(/[^\w.-]+/g, '-').slice(0, 60)} />}
      </Splitter.Pane>
    </Splitter>
      <Suspense>
        {showing === 'code' && <CodeModal draft={draft} values={values} onClose={() => setShowing(null)} />}
        {showing === 'save' && (
          <SaveModal draft={draft} onClose={() => setShowing(null)} onSaved={(saved) => changeTab(tab.id, () => ({ saved }))} />
        )}
      </Suspense>
    </>
  );
}

function count(n: number): string {
  return n === 0 ? '' : ` (${n})`;
}
