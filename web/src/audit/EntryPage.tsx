/// One audit entry with an address of its own, to be sent to colleagues.
import { Anchor, Stack, Title } from '@mantine/core';
import { Link, useParams } from 'react-router';
import { EntryView } from './EntryView';
import './audit.css';

export default function EntryPage() {
  const { id = '' } = useParams();
  return (
    <Stack p="md" gap="md" maw={900}>
      <Anchor component={Link} to="/audit" size="sm">
        ← Audit log
      </Anchor>
      <Title order={1} size="h3">
        Audit entry
      </Title>
      <EntryView id={id} />
    </Stack>
  );
}
