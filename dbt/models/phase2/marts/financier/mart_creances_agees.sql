-- What is still owed, by how long it is overdue: on the day of the newest export, so that a rebuild of the same data gives the same.
with as_of as (

    select max(exportee_le) as jour from {{ ref('fait_factures') }}

),

overdue as (

    select
        factures.montant_du,
        implantations.entreprise_id,
        implantations.niveau_risque,
        as_of.jour,
        {{ dbt.datediff('factures.echeance_le', 'as_of.jour', 'day') }} as jours
    from {{ ref('fait_factures') }} as factures
    cross join as_of
    left join {{ ref('fait_implantations') }} as implantations on factures.attribution_id = implantations.attribution_id
    where factures.montant_du > 0

),

bracketed as (

    select
        *,
        case
            when jours <= 0 then '0 non echu'
            when jours <= 30 then '1 a 30 jours'
            when jours <= 60 then '31 a 60 jours'
            when jours <= 90 then '61 a 90 jours'
            else 'plus de 90 jours'
        end as tranche_anciennete
    from overdue

)

select
    tranche_anciennete,
    niveau_risque,
    cast(count(*) as {{ dbt.type_bigint() }}) as factures,
    cast(count(distinct entreprise_id) as {{ dbt.type_bigint() }}) as entreprises,
    {{ rounded('sum(montant_du)', 18, 2) }} as montant_du,
    max(jour) as exportee_le
from bracketed
group by tranche_anciennete, niveau_risque
