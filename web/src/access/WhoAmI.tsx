/// The caller: identity, groups, rights, and asking policy about a request.
import { Badge, Code, Group, List, Paper, SimpleGrid, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { IconCheck, IconMinus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Fact, Facts } from '../audit/EntryDetails';
import '../audit/audit.css';
import { api, call } from '../client/api';
import { Time } from '../components/Time';
import { useSession } from '../session/session';
import { Explain } from './Explain';
import { RIGHTS } from './rights';

export function WhoAmI() {
  const { me, may } = useSession();
  return (
    <Stack gap="lg">
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Paper withBorder p="md">
          <Title order={2} size="h5" mb="sm">
            You
          </Title>
          <Facts>
            <Fact name="Name">{me.user?.display_name}</Fact>
            <Fact name="Principal">
              <Code>{me.subject}</Code>
            </Fact>
            {me.actor !== me.subject && (
              <Fact name="Through">
                <Code>{me.actor}</Code>
              </Fact>
            )}
            <Fact name="Mail">{me.user?.email}</Fact>
            <Fact name="Groups">
              {me.groups.length === 0 ? (
                'none: policies that name groups give you nothing'
              ) : (
                <Group gap={4}>
                  {me.groups.map((group) => (
                    <Badge key={group} variant="light" tt="none">
                      {group}
                    </Badge>
                  ))}
                </Group>
              )}
            </Fact>
            <Fact name="Logged in until">{me.expires_at && <Time at={me.expires_at} />}</Fact>
          </Facts>
        </Paper>
        <Paper withBorder p="md">
          <Title order={2} size="h5" mb="sm">
            In Doorman you may
          </Title>
          <List spacing={4} size="sm" center listStyleType="none">
            {RIGHTS.map((right) => {
              const allowed = may(right.action, right.resource);
              return (
                <List.Item
                  key={right.action + right.resource}
                  icon={
                    <ThemeIcon size={20} radius="xl" variant="light" color={allowed ? 'green' : 'gray'}>
                      {allowed ? <IconCheck size={14} aria-label="yes" /> : <IconMinus size={14} aria-label="no" />}
                    </ThemeIcon>
                  }
                >
                  <Text span size="sm" c={allowed ? undefined : 'dimmed'}>
                    {right.label}
                    {!allowed && ` (for ${right.ask})`}
                  </Text>
                </List.Item>
              );
            })}
          </List>
        </Paper>
      </SimpleGrid>
      <Reachable />
      <Explain />
    </Stack>
  );
}

/// The services that some policy lets the caller reach at all.
function Reachable() {
  const reach = useQuery({
    queryKey: ['access', 'reach'],
    queryFn: async () => {
      const regions = (await call(api.GET('/api/v1/regions'))).items;
      const lists = await Promise.all(
        regions.map((region) =>
          call(api.GET('/api/v1/regions/{region}/services', { params: { path: { region: region.name } } }))
            .then((list) => list.items.map((service) => service.name))
            .catch(() => null),
        ),
      );
      return regions.map((region, index) => ({ region: region.name, services: lists[index] ?? null }));
    },
  });
  return (
    <Paper withBorder p="md">
      <Title order={2} size="h5" mb="sm">
        Services that you may reach
      </Title>
      {reach.data?.length === 0 && (
        <Text size="sm" c="dimmed">
          None. No policy names you or a group of yours for requests to any service. Whoever keeps the policies can change that.
        </Text>
      )}
      <Facts>
        {(reach.data ?? []).map(({ region, services }) => (
          <Fact key={region} name={region}>
            {services === null ? 'does not answer' : services.length === 0 ? 'none' : services.join(', ')}
          </Fact>
        ))}
      </Facts>
      {(reach.data?.length ?? 0) > 0 && (
        <Text size="xs" c="dimmed" mt="xs">
          A service is listed when some policy permits you something there; which requests, ask below.
        </Text>
      )}
    </Paper>
  );
}
