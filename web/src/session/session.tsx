/// Who is logged in. Everything below `<SessionGate>` can rely on there being somebody.
import { Center, Loader } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, createContext, useContext, useEffect, useMemo, useState } from 'react';
import { type Schema, api, call, onUnauthenticated } from '../client/api';
import { ProblemAlert } from '../components/ProblemAlert';
import { Problem, asProblem } from '../client/problem';
import { LoginPage } from './LoginPage';
import { forgetDoorToken } from './doorToken';

export type Me = Schema<'Me'>;

interface Session {
  me: Me;
  /// Whether policy permits an action on a resource, as `/auth/v1/me` lists them: `may('audit:read', 'audit:all')`.
  may: (action: string, resource: string) => boolean;
  logOut: () => Promise<void>;
}

const Context = createContext<Session | null>(null);
const KEY = ['me'];
/// Told to the window when somebody logs out, just before the page goes.
export const LOGGED_OUT = 'doorman:logged-out';

/// The session. Only below `<SessionGate>`.
export function useSession(): Session {
  const session = useContext(Context);
  if (session === null) {
    throw new Error('useSession is used outside SessionGate');
  }
  return session;
}

/// The user's name without the kind of principal: `alice`.
export function nameOf(me: Me): string {
  return me.user?.display_name || me.subject.replace(/^\w+:/, '');
}

/// Shows the login until there is a session, and again when it has ended.
export function SessionGate({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const [ended, setEnded] = useState(false);
  const me = useQuery({
    queryKey: KEY,
    queryFn: async () => {
      const answer = await api.GET('/auth/v1/me');
      return answer.response.status === 401 ? null : call(Promise.resolve(answer));
    },
    staleTime: 60_000,
  });

  useEffect(
    () =>
      onUnauthenticated(() => {
        forgetDoorToken();
        setEnded(true);
        queries.setQueryData(KEY, null);
      }),
    [queries],
  );

  const session = useMemo<Session | null>(() => {
    const data = me.data;
    if (data === null || data === undefined) {
      return null;
    }
    return {
      me: data,
      may: (action, resource) => data.may.some((right) => right.action === action && right.resource === resource),
      logOut: async () => {
        await call(api.POST('/auth/v1/logout')).catch((error: unknown) => {
          // A session that has ended already needs no ending.
          if (!(error instanceof Problem && error.status === 401)) throw error;
        });
        forgetDoorToken();
        // Requests, answers and drafts are for nobody else at this browser. Settings and environments stay.
        dispatchEvent(new Event(LOGGED_OUT));
        sessionStorage.clear();
        localStorage.removeItem('doorman.tabs');
        location.assign('/');
      },
    };
  }, [me.data, queries]);

  if (session !== null) {
    return <Context value={session}>{children}</Context>;
  }
  if (me.isPending) {
    return (
      <Center h="100vh">
        <Loader role="status" aria-label="Loading" />
      </Center>
    );
  }
  if (me.data === undefined) {
    return (
      <Center h="100vh" p="md">
        <ProblemAlert problem={asProblem(me.error)} onRetry={() => me.refetch()} />
      </Center>
    );
  }
  return (
    <LoginPage
      ended={ended}
      onLogin={() => {
        setEnded(false);
        void queries.resetQueries();
      }}
    />
  );
}
