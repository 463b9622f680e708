/// One job.
import { IconCalendarTime } from '@tabler/icons-react';
import { EmptyState } from '../components/EmptyState';

export default function JobPage() {
  return (
    <EmptyState icon={IconCalendarTime} title="Job">
      This page is being built.
    </EmptyState>
  );
}
