"""Every call there is, as methods that both clients have; their documentation is that of the calls."""

from __future__ import annotations

from deployments.client import (
    admin_calls,
    knowledge_calls,
    vector_calls,
    verification_calls,
    work_calls,
)
from deployments.client.methods import Method


class Routes:
    """The methods of a client but for those that send more than one request."""

    verify = Method(verification_calls.verify)
    verify_part = Method(verification_calls.verify_part)
    verify_text = Method(verification_calls.verify_text)
    extract_claims = Method(verification_calls.extract_claims)
    reset = Method(verification_calls.reset)
    step = Method(verification_calls.step)
    render = Method(verification_calls.render)
    delete_session = Method(verification_calls.delete_session)
    health = Method(verification_calls.health)
    verdict = Method(verification_calls.verdict)
    verdicts_page = Method(verification_calls.verdicts_page)
    replay = Method(verification_calls.replay)
    feedback = Method(verification_calls.feedback)
    calibration = Method(verification_calls.calibration)

    add_knowledge = Method(knowledge_calls.add_knowledge)
    knowledge_page = Method(knowledge_calls.knowledge_page)
    knowledge_item = Method(knowledge_calls.knowledge_item)
    remove_knowledge = Method(knowledge_calls.remove_knowledge)
    facts_page = Method(knowledge_calls.facts_page)
    load_graph = Method(knowledge_calls.load_graph)
    sparql = Method(knowledge_calls.sparql)
    import_knowledge = Method(knowledge_calls.import_knowledge)

    create_dataset = Method(vector_calls.create_dataset)
    datasets = Method(vector_calls.datasets)
    dataset = Method(vector_calls.dataset)
    change_dataset = Method(vector_calls.change_dataset)
    delete_dataset = Method(vector_calls.delete_dataset)
    dataset_stats = Method(vector_calls.dataset_stats)
    add_vectors = Method(vector_calls.add_vectors)
    add_text = Method(vector_calls.add_text)
    vectors = Method(vector_calls.vectors)
    vector = Method(vector_calls.vector)
    change_vector = Method(vector_calls.change_vector)
    delete_vectors = Method(vector_calls.delete_vectors)
    search = Method(vector_calls.search)
    search_text = Method(vector_calls.search_text)
    search_hybrid = Method(vector_calls.search_hybrid)
    search_datasets = Method(vector_calls.search_datasets)
    build_index = Method(vector_calls.build_index)
    index = Method(vector_calls.index)
    import_vectors = Method(vector_calls.import_vectors)
    import_status = Method(vector_calls.import_status)
    export_vectors = Method(vector_calls.export_vectors)
    export_status = Method(vector_calls.export_status)

    submit_job = Method(work_calls.submit_job)
    jobs_page = Method(work_calls.jobs_page)
    job = Method(work_calls.job)
    stop_job = Method(work_calls.stop_job)
    remove_job = Method(work_calls.remove_job)
    submit_tasks = Method(work_calls.submit_tasks)
    tasks_page = Method(work_calls.tasks_page)
    task = Method(work_calls.task)
    retry_task = Method(work_calls.retry_task)
    cancel_task = Method(work_calls.cancel_task)
    queue = Method(work_calls.queue)

    who_am_i = Method(admin_calls.who_am_i)
    settings = Method(admin_calls.settings)
    create_key = Method(admin_calls.create_key)
    keys = Method(admin_calls.keys)
    key = Method(admin_calls.key)
    rotate_key = Method(admin_calls.rotate_key)
    revoke_key = Method(admin_calls.revoke_key)
    create_tenant = Method(admin_calls.create_tenant)
    tenants = Method(admin_calls.tenants)
    change_tenant = Method(admin_calls.change_tenant)
    erase_tenant = Method(admin_calls.erase_tenant)
    audit_page = Method(admin_calls.audit_page)
    check_audit = Method(admin_calls.check_audit)
    rate_limits = Method(admin_calls.rate_limits)
    rate_usage = Method(admin_calls.rate_usage)
