/// Saved jobs.
import { IconCalendarTime } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function JobsPage() {
  return (
    <EmptyState icon={IconCalendarTime} title="Jobs">
      This page is being built.
    </EmptyState>
  );
}
