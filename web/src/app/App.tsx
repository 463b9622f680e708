/// Providers and routes.
import { Button, Center, Loader, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { IconMap } from '@tabler/icons-react';
import { type ComponentType, Suspense, lazy } from 'react';
import { type RouteObject, Link, Navigate, RouterProvider, createBrowserRouter, useRouteError } from 'react-router';
import { Problem, asProblem } from '../client/problem';
import { EmptyState } from '../components/EmptyState';
import { ProblemAlert } from '../components/ProblemAlert';
import { SessionGate } from '../session/session';
import { Frame } from './Frame';
import { DETAILS, SECTIONS } from './pages';
import { cssVariables, styleNonce, theme } from './theme';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // An answer that says no will say no again; silence may pass.
      retry: (count, error) => !(error instanceof Problem && error.status > 0 && error.status < 500) && count < 2,
    },
  },
});

function pageRoute({ path, load }: { path: string; load: () => Promise<{ default: ComponentType }> }): RouteObject {
  const Page = lazy(load);
  const element = (
    <Suspense fallback={<Loading />}>
      <Page />
    </Suspense>
  );
  return { path, element, errorElement: <Failure /> };
}

function Loading() {
  return (
    <Center p="xl">
      <Loader role="status" aria-label="Loading" />
    </Center>
  );
}

function Failure() {
  return (
    <Center p="xl">
      <ProblemAlert problem={asProblem(useRouteError())} onRetry={() => location.reload()} />
    </Center>
  );
}

function NothingHere() {
  return (
    <EmptyState icon={IconMap} title="There is no such page">
      The address may be mistyped.{' '}
      <Button component={Link} to="/request" variant="light" mt="md">
        Send a request
      </Button>
    </EmptyState>
  );
}

const router = createBrowserRouter([
  {
    element: <Frame />,
    errorElement: <Failure />,
    children: [
      { index: true, element: <Navigate to="/request" replace /> },
      ...[...SECTIONS, ...DETAILS].map(pageRoute),
      { path: '*', element: <NothingHere /> },
    ],
  },
]);

export function App() {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={cssVariables}
      defaultColorScheme="auto"
      getStyleNonce={styleNonce}
    >
      <QueryClientProvider client={queries}>
        <Notifications position="top-right" />
        <SessionGate>
          <RouterProvider router={router} />
        </SessionGate>
      </QueryClientProvider>
    </MantineProvider>
  );
}
