/// The frame around every page: navigation, palette, theme, and who is logged in.
import {
  ActionIcon,
  AppShell,
  Burger,
  Button,
  Group,
  Kbd,
  Menu,
  NavLink,
  Text,
  UnstyledButton,
  VisuallyHidden,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { spotlight } from '@mantine/spotlight';
import { IconLogout, IconMoon, IconSearch, IconSun, IconUser } from '@tabler/icons-react';
import { Link, NavLink as RouterLink, Outlet, useLocation, useNavigate } from 'react-router';
import { Logo } from '../components/Logo';
import { nameOf, useSession } from '../session/session';
import { Palette } from './Palette';
import { useCommands } from './commands';
import { SECTIONS } from './pages';

const MOD = navigator.platform.startsWith('Mac') ? '⌘' : 'Ctrl';

export function Frame() {
  const [opened, { toggle, close }] = useDisclosure();
  const { me, logOut } = useSession();
  const { pathname } = useLocation();
  const navigate = useNavigate();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'light' ? 'dark' : 'light';
  const flip = () => setColorScheme(other);

  useCommands([
    ...SECTIONS.map((section) => ({
      id: `go${section.path}`,
      label: `Go to ${section.label}`,
      description: section.description,
      group: 'Pages',
      run: () => void navigate(section.path),
    })),
    { id: 'app.theme', label: `Switch to ${other} theme`, group: 'Doorman', keywords: ['theme', 'dark', 'light'], run: flip },
    { id: 'app.logout', label: 'Log out', group: 'Doorman', keywords: ['sign out'], run: () => void logOut() },
  ]);

  return (
    <AppShell
      header={{ height: 48 }}
      navbar={{ width: 168, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={0}
      transitionDuration={0}
    >
      <AppShell.Header>
        <a href="#main" className="skip-link">
          Skip to content
        </a>
        <Group h="100%" px="sm" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <UnstyledButton component={Link} to="/request" aria-label="Doorman, to the request page">
              <Group gap={8} wrap="nowrap">
                <Logo size={26} />
                <Text fw={600}>Doorman</Text>
              </Group>
            </UnstyledButton>
          </Group>
          <Button
            variant="default"
            size="xs"
            w={280}
            className="palette-button"
            justify="space-between"
            leftSection={<IconSearch size={14} aria-hidden />}
            rightSection={<Kbd size="xs">{MOD}+K</Kbd>}
            onClick={spotlight.open}
          >
            Search commands
          </Button>
          <Group gap="xs" wrap="nowrap">
            <ActionIcon variant="subtle" color="gray" size="lg" onClick={flip} aria-label={`Switch to ${other} theme`}>
              {scheme === 'light' ? <IconMoon size={18} /> : <IconSun size={18} />}
            </ActionIcon>
            <Menu position="bottom-end" width={220}>
              <Menu.Target>
                <Button variant="subtle" color="gray" size="xs" leftSection={<IconUser size={16} aria-hidden />}>
                  {nameOf(me)}
                </Button>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Label>{me.subject}</Menu.Label>
                <Menu.Item component={Link} to="/access" leftSection={<IconUser size={14} />}>
                  My access
                </Menu.Item>
                <Menu.Item leftSection={<IconLogout size={14} />} onClick={() => void logOut()}>
                  Log out
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p={6} aria-label="Pages">
        {SECTIONS.map(({ path, label, icon: Icon }) => (
          <NavLink
            key={path}
            component={RouterLink}
            to={path}
            label={label}
            active={pathname.startsWith(path)}
            leftSection={<Icon size={18} stroke={1.6} />}
            onClick={close}
            className="nav-link"
          />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <VisuallyHidden component="p">Press {MOD}+K for commands.</VisuallyHidden>
        <Outlet />
      </AppShell.Main>
      <Palette />
    </AppShell>
  );
}
