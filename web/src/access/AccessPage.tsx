/// Who you are, what you may do and why not, your sessions and tokens; for administrators everybody's, and service accounts.
import { Stack, Tabs, Text, Title } from '@mantine/core';
import { IconDeviceLaptop, IconKey, IconRobot, IconUser } from '@tabler/icons-react';
import { useSearchParams } from 'react-router';
import { useSession } from '../session/session';
import { ServiceAccounts } from './ServiceAccounts';
import { Sessions } from './Sessions';
import { Tokens } from './Tokens';
import { WhoAmI } from './WhoAmI';
import './access.css';

const TABS = ['me', 'sessions', 'tokens', 'service-accounts'] as const;

export default function AccessPage() {
  const [params, setParams] = useSearchParams();
  const { may } = useSession();
  const managesAccounts = may('service_account:manage', 'service_accounts');
  const asked = TABS.find((tab) => tab === params.get('tab')) ?? 'me';
  const tab = asked === 'service-accounts' && !managesAccounts ? 'me' : asked;
  return (
    <Stack p="md" gap="md" maw={1080}>
      <div>
        <Title order={1} size="h3">
          Access
        </Title>
        <Text size="sm" c="dimmed">
          Who you are to Doorman, what you may do, and what acts in your name.
        </Text>
      </div>
      <Tabs value={tab} onChange={(value) => setParams(value === null || value === 'me' ? {} : { tab: value })} keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="me" leftSection={<IconUser size={16} aria-hidden />}>
            Me and my rights
          </Tabs.Tab>
          <Tabs.Tab value="sessions" leftSection={<IconDeviceLaptop size={16} aria-hidden />}>
            Sessions
          </Tabs.Tab>
          <Tabs.Tab value="tokens" leftSection={<IconKey size={16} aria-hidden />}>
            Tokens
          </Tabs.Tab>
          {managesAccounts && (
            <Tabs.Tab value="service-accounts" leftSection={<IconRobot size={16} aria-hidden />}>
              Service accounts
            </Tabs.Tab>
          )}
        </Tabs.List>
        <Tabs.Panel value="me">
          <WhoAmI />
        </Tabs.Panel>
        <Tabs.Panel value="sessions">
          <Sessions />
        </Tabs.Panel>
        <Tabs.Panel value="tokens">
          <Tokens />
        </Tabs.Panel>
        <Tabs.Panel value="service-accounts">
          <ServiceAccounts />
        </Tabs.Panel>
      </Tabs>
    </Stack>
  );
}
