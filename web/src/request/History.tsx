/// The requests that one has sent lately, as the audit log has them; each opens in a tab.
import { Badge, Button, Group, NavLink, ScrollArea, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { type Entry, outcomeOf } from '../audit/entry';
import { api, call } from '../client/api';
import { asProblem } from '../client/problem';
import { ProblemAlert } from '../components/ProblemAlert';
import { Time } from '../components/Time';
import { useSession } from '../session/session';
import { draftOfEntry } from './logged';
import { openTab } from './tabs';

const SHOWN = 50;

/// Opens a logged request in a tab, and says what the log does not hold of it.
export function openLogged(entry: Entry): void {
  const { draft, notes } = draftOfEntry(entry);
  openTab(draft);
  for (const message of notes) {
    notifications.show({ message, autoClose: 8000 });
  }
}

export function History() {
  const { me } = useSession();
  const log = useQuery({
    queryKey: ['audit', 'history', me.subject],
    queryFn: () => call(api.GET('/api/v1/audit', { params: { query: { kind: 'request', subject: me.subject, limit: SHOWN } } })),
    staleTime: 0,
  });
  if (log.isError) {
    return <ProblemAlert problem={asProblem(log.error)} onRetry={() => void log.refetch()} />;
  }
  return (
    <ScrollArea h="100%" type="auto">
      {log.data?.items.length === 0 && (
        <Text size="xs" c="dimmed" p="xs">
          What you send is written to the audit log before it leaves, and stands here, to be opened and sent again.
        </Text>
      )}
      {log.data?.items.map((entry) => (
        <NavLink
          key={entry.id}
          component="button"
          className="tree-item"
          onClick={() => openLogged(entry)}
          title={`${entry.method} ${entry.region}/${entry.service}${entry.path}`}
          label={
            <Group gap={6} wrap="nowrap">
              <Badge size="xs" variant="light" color="gray" radius="sm" className="method">
                {entry.method}
              </Badge>
              <Text size="xs" ff="monospace" truncate>
                {entry.path}
              </Text>
            </Group>
          }
          description={
            <>
              {entry.region}/{entry.service} · {outcomeOf(entry).label} · <Time at={entry.time} />
            </>
          }
        />
      ))}
      {log.data !== undefined && log.data.items.length > 0 && (
        <Button component={Link} to="/audit?kind=request" size="compact-xs" variant="subtle" m="xs">
          All in the audit log
        </Button>
      )}
    </ScrollArea>
  );
}
