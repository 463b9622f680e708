/// The login: directory name and password; the answer sets the cookie, and nothing of it is kept here.
import { Alert, Box, Button, Center, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { api, call } from '../client/api';
import { type Problem, asProblem } from '../client/problem';
import { Logo } from '../components/Logo';
import { ProblemAlert } from '../components/ProblemAlert';

/// The demo listens there; a door that others use does not.
const IS_LOOPBACK = /^(127\.|localhost$|\[::1\]$)/.test(location.hostname);

export function LoginPage({ ended, onLogin }: { ended: boolean; onLogin: () => void }) {
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);

  async function logIn(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await call(api.POST('/auth/v1/login', { body: { username, password, cookie: true } }));
      onLogin();
    } catch (error) {
      setProblem(asProblem(error));
      setPassword('');
    } finally {
      setBusy(false);
    }
  }

  return (
    <Box component="main" className="login">
      <Center mih="100vh" p="md">
        <Paper withBorder shadow="sm" p="xl" radius="md" w={400}>
          <form onSubmit={logIn}>
            <Stack>
              <Box>
                <Logo size={40} />
                <Title order={1} size="h2" mt="sm">
                  Doorman
                </Title>
                <Text c="dimmed" size="sm">
                  One audited door to live systems.
                </Text>
              </Box>
              {ended && problem === null && (
                <Alert color="blue" title="Your session has ended">
                  Log in again to go on where you were. Your tabs are kept.
                </Alert>
              )}
              {problem !== null && <ProblemAlert problem={problem} />}
              <TextInput
                label="User name"
                name="username"
                autoComplete="username"
                autoFocus
                required
                withAsterisk={false}
                value={username}
                onChange={(event) => setUsername(event.currentTarget.value)}
              />
              <PasswordInput
                label="Password"
                name="password"
                autoComplete="current-password"
                required
                withAsterisk={false}
                value={password}
                onChange={(event) => setPassword(event.currentTarget.value)}
              />
              <Button type="submit" loading={busy} fullWidth>
                Log in
              </Button>
              <Text c="dimmed" size="xs">
                With your directory account.
                {IS_LOOPBACK && ' In the demo: alice, bob, carol, dave or erin, each with the password “<name>-demo”, such as “alice-demo”.'}
              </Text>
            </Stack>
          </form>
        </Paper>
      </Center>
    </Box>
  );
}
