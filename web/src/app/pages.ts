/// The pages: where they are, how they are called, and what loads them. Navigation, router and palette read this list.
import {
  IconBook2,
  IconCalendarTime,
  IconListCheck,
  IconListSearch,
  IconSend,
  IconShieldLock,
} from '@tabler/icons-react';
import type { ComponentType } from 'react';

interface Page {
  path: string;
  load: () => Promise<{ default: ComponentType }>;
}

interface Section extends Page {
  label: string;
  description: string;
  icon: ComponentType<{ size?: number; stroke?: number }>;
}

/// What the navigation shows, in its order.
export const SECTIONS: Section[] = [
  {
    path: '/request',
    label: 'Request',
    description: 'Send a request to a live service',
    icon: IconSend,
    load: () => import('../request/RequestPage'),
  },
  {
    path: '/collections',
    label: 'Collections',
    description: 'Saved requests, private and shared',
    icon: IconBook2,
    load: () => import('../collections/CollectionsPage'),
  },
  {
    path: '/audit',
    label: 'Audit',
    description: 'Who did what, when and why',
    icon: IconListSearch,
    load: () => import('../audit/AuditPage'),
  },
  {
    path: '/bulk',
    label: 'Bulk',
    description: 'One request for many ids, in waves',
    icon: IconListCheck,
    load: () => import('../bulk/BulkPage'),
  },
  {
    path: '/jobs',
    label: 'Jobs',
    description: 'Saved bulk requests with schedule and history',
    icon: IconCalendarTime,
    load: () => import('../jobs/JobsPage'),
  },
  {
    path: '/access',
    label: 'Access',
    description: 'Who you are, what you may do, sessions and tokens',
    icon: IconShieldLock,
    load: () => import('../access/AccessPage'),
  },
];

/// Pages that others lead to.
export const DETAILS: Page[] = [
  { path: '/audit/:id', load: () => import('../audit/EntryPage') },
  { path: '/jobs/:id', load: () => import('../jobs/JobPage') },
  { path: '/runs/:id', load: () => import('../jobs/RunPage') },
];
